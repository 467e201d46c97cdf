// Decodes HTJ2K codestreams in a thread of its own. A new decoder for each: one that failed would give the picture before.
importScripts("openjphjs.js")

const base = self.location.href.slice(0, self.location.href.lastIndexOf("/") + 1)
const load = () => Module({ locateFile: (name) => base + name, print: () => {}, printErr: () => {} })
let ready = load()
// Who waits for it is told why it does not come.
ready.catch(() => {})

self.addEventListener("message", async (event) => {
  const { id, bytes, level } = event.data
  let codec = null
  let decoder = null
  try {
    ready ??= load()
    codec = await ready
    decoder = new codec.HTJ2KDecoder()
    decoder.getEncodedBuffer(bytes.length).set(bytes)
    if (level) decoder.decodeSubResolution(level)
    else decoder.decode()
    const info = decoder.getFrameInfo()
    const divisor = 2 ** level
    const width = Math.ceil(info.width / divisor)
    const height = Math.ceil(info.height / divisor)
    const sampleBytes = info.bitsPerSample > 8 ? 2 : 1
    const decoded = decoder.getDecodedBuffer()
    if (!width || decoded.length !== width * height * info.componentCount * sampleBytes) throw new Error(decoder.getLastErrorMessage() || "the frame does not decode")
    const samples = decoded.slice().buffer
    self.postMessage({ id, width, height, components: info.componentCount, signed: info.isSigned, sampleBytes, samples }, [samples])
  } catch (error) {
    // A codec that did not load, or that was stopped in its work, as for want of memory, decodes nothing any more.
    if (!codec || error instanceof WebAssembly.RuntimeError) {
      decoder = null
      ready = null
    }
    self.postMessage({ id, failure: String(error?.message ?? error) })
  } finally {
    decoder?.delete()
  }
})
