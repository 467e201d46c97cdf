// Frames over the wire: a small picture first by byte range, sharper as bytes come, kept while there is room.
import { isDecodable, readCodestream } from "./codestream.js"

const FIRST_BYTES = 8192
const MOST_KEPT_BYTES = 512 * 1024 * 1024
const HTJ2K = new Set(["1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"])
const RAW = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"

export class FrameError extends Error {
  constructor(message, status = 0) { super(message); this.status = status }
}

export class FrameStore {
  constructor(decoder) {
    this.decoder = decoder
    this.kept = new Map()
    this.keptBytes = 0
  }

  // The whole picture where it is here already.
  at(frame) {
    const found = this.kept.get(frame.path)
    if (found) { this.kept.delete(frame.path); this.kept.set(frame.path, found) }
    return found
  }

  // Loads a frame; onPicture gets each better one. Resolves to the whole picture.
  async load(frame, { onPicture = () => {}, signal, isUrgent = true } = {}) {
    const here = this.at(frame)
    if (here) { onPicture(here); return here }
    const whole = await this.#fetched(frame, onPicture, signal, isUrgent)
    this.#keep(frame, whole)
    onPicture(whole)
    return whole
  }

  #fetched(frame, onPicture, signal, isUrgent) {
    if (frame.hasLookupTable || frame.photometric === "PALETTE COLOR") return this.#rendered(frame, signal)
    // The first syntax that a frame is to be had in is the one it is stored in.
    return HTJ2K.has(frame.syntax) ? this.#progressive(frame, onPicture, signal, isUrgent) : this.#asItIs(frame, signal)
  }

  async #progressive(frame, onPicture, signal, isUrgent) {
    const headers = { Accept: "image/jphc" }
    if (isUrgent) headers.Range = `bytes=0-${FIRST_BYTES - 1}`
    const answer = await ask(frame.path, headers, signal)
    if (answer.status === 406) return this.#asItIs(frame, signal)
    let bytes = new Uint8Array(await answer.arrayBuffer())
    const codestream = readCodestream(bytes)
    if (codestream && !isDecodable(codestream)) return this.#asItIs(frame, signal)
    const size = answer.status === 206 ? Number(answer.headers.get("content-range")?.split("/")[1]) : bytes.length
    if (bytes.length < size) bytes = await this.#rest(frame, bytes, { size, tag: answer.headers.get("etag") }, codestream, onPicture, signal)
    return { ...(await this.#decoded(frame, bytes, 0, isUrgent)), isWhole: true, bytes: bytes.length }
  }

  // Fetches what is missing in one request, and shows each resolution as soon as it is there.
  async #rest(frame, start, { size, tag }, codestream, onPicture, signal) {
    const ends = codestream?.resolutionEnds ?? []
    const bytes = new Uint8Array(size)
    bytes.set(start)
    let filled = start.length
    let shown = -1
    let busy = Promise.resolve()
    const showBest = () => {
      const best = ends.findLastIndex((end) => end <= filled)
      if (best <= shown || best >= ends.length - 1) return
      shown = best
      const level = ends.length - 1 - best
      const part = bytes.slice(0, ends[best])
      busy = this.#decoded(frame, part, level, true)
        .then((picture) => { if (!signal?.aborted) onPicture({ ...picture, isWhole: false, bytes: part.length }) })
        .catch(() => { /* the next one is better */ })
    }
    showBest()
    const answer = await ask(frame.path, { Accept: "image/jphc", Range: `bytes=${filled}-` }, signal)
    if (answer.status !== 206 || answer.headers.get("etag") !== tag) {
      // Another image has taken the place of the one that the beginning is of: nothing of that may be among its pixels.
      await busy
      return new Uint8Array(await (await ask(frame.path, { Accept: "image/jphc" }, signal)).arrayBuffer())
    }
    const reader = answer.body.getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      bytes.set(value, filled)
      filled += value.length
      showBest()
    }
    if (filled !== size) throw new FrameError("The connection ended in the middle of the image.")
    await busy
    return bytes
  }

  async #decoded(frame, bytes, level, isUrgent) {
    try {
      return await this.decoder.decode(bytes, level, isUrgent)
    } catch (error) {
      throw new FrameError(`This image does not decode: ${error.message}`)
    }
  }

  // Stored values that the server decodes, where the decoder here would not give them as they are.
  async #asItIs(frame, signal) {
    if (frame.samplesPerPixel !== 1 || frame.bitsAllocated > 16) return this.#rendered(frame, signal)
    const answer = await ask(frame.path, { Accept: RAW }, signal)
    if (answer.status === 406) return this.#rendered(frame, signal)
    const content = await answer.arrayBuffer()
    const count = frame.rows * frame.columns
    let samples
    if (frame.bitsAllocated === 8) samples = frame.isSigned ? new Int8Array(content, 0, count) : new Uint8Array(content, 0, count)
    else if (frame.bitsAllocated === 16) samples = frame.isSigned ? new Int16Array(content, 0, count) : new Uint16Array(content, 0, count)
    else return this.#rendered(frame, signal)
    if (frame.bitsStored < frame.bitsAllocated) keepStored(frame, samples)
    return { width: frame.columns, height: frame.rows, components: 1, samples, isWhole: true, bytes: content.byteLength }
  }

  // A picture that the server makes, where colours or tables are to be worked out.
  async #rendered(frame, signal) {
    const answer = await ask(`${frame.path}/rendered`, { Accept: "image/png" }, signal)
    if (!answer.ok) throw new FrameError("The server cannot make a picture of this image.", answer.status)
    const bitmap = await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none", premultiplyAlpha: "none" })
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height)
    const context = canvas.getContext("2d")
    context.drawImage(bitmap, 0, 0)
    const { data, width, height } = context.getImageData(0, 0, bitmap.width, bitmap.height)
    const samples = new Uint8Array(width * height * 3)
    for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
      samples[to] = data[from]
      samples[to + 1] = data[from + 1]
      samples[to + 2] = data[from + 2]
    }
    return { width, height, components: 3, samples, isWhole: true, isRendered: true, bytes: 0 }
  }

  #keep(frame, picture) {
    // It may have been fetched ahead and asked for at the same time.
    const before = this.kept.get(frame.path)
    this.kept.set(frame.path, picture)
    this.keptBytes += picture.samples.byteLength - (before?.samples.byteLength ?? 0)
    for (const [path, other] of this.kept) {
      if (this.keptBytes <= MOST_KEPT_BYTES || path === frame.path) break
      this.kept.delete(path)
      this.keptBytes -= other.samples.byteLength
    }
  }
}

// Bits of a sample that are not of its value may hold an overlay, or anything.
function keepStored({ bitsStored, highBit, isSigned }, samples) {
  const shift = highBit + 1 - bitsStored
  const unused = 32 - bitsStored
  for (let at = 0; at < samples.length; at += 1) {
    const bits = (samples[at] >>> shift) << unused
    samples[at] = isSigned ? bits >> unused : bits >>> unused
  }
}

async function ask(path, headers, signal) {
  let answer
  try {
    // Kept here, and not by the browser: it would take a part of one form of a frame for a part of another.
    answer = await fetch(path, { headers, signal, cache: "no-store" })
  } catch (error) {
    if (error.name === "AbortError") throw error
    throw new FrameError("The server cannot be reached.")
  }
  if (answer.ok || answer.status === 406) return answer
  if (answer.status === 401) throw new FrameError("Your session has ended. Sign in again in another tab.", 401)
  if (answer.status === 403) throw new FrameError("You may not see this image.", 403)
  throw new FrameError(`The server does not give this image (${answer.status}).`, answer.status)
}
