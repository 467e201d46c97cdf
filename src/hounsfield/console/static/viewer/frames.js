// Frames over the wire: a small picture first by byte range, sharper as bytes come, kept while there is room.
import { unpackBits } from "./bits.js"
import { isDecodable, readCodestream } from "./codestream.js"

// Frames of a series differ a little in size; a picture from a twelfth of the bytes is worth looking at.
const USEFUL_SHARE = 0.076
const LEAST_BYTES = 4096
const MOST_FIRST_BYTES = 256 * 1024
const MOST_KEPT_BYTES = 512 * 1024 * 1024
// What a canvas and the memory of a tab hold of one image; larger ones are shown smaller.
const MOST_PIXELS = 2 ** 25
const MOST_SIDE = 16384
const MOST_RENDERED_SIDE = 8192
const TOLD_BYTES = 2 ** 27
const FAST_BYTES_A_MS = 4000
export const HTJ2K = new Set(["1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"])
const NATIVE = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
const AS_STORED = "application/octet-stream; transfer-syntax=*"
const LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
const BIG_ENDIAN = "1.2.840.10008.1.2.2"

// Why a frame is not shown; `passes` where it may be had again later.
export class FrameError extends Error {
  constructor(message, status = 0, passes = false) {
    super(message)
    this.status = status
    this.passes = passes
  }
}

// How often an image must be halved before it can be held.
export function halvingsOf({ rows, columns }) {
  let halvings = 0
  const side = (whole) => Math.ceil(whole / 2 ** halvings)
  while (side(rows) * side(columns) > MOST_PIXELS || Math.max(side(rows), side(columns)) > MOST_SIDE) halvings += 1
  return halvings
}

export class FrameStore {
  constructor(decoder) {
    this.decoder = decoder
    this.kept = new Map()
    this.keptBytes = 0
    this.firstBytes = new Map()
    this.coming = new Map()
    this.generation = 0
    this.speed = 0
  }

  // Whether what is fetched ahead takes hardly anything from what is looked at.
  get isFast() { return this.speed > FAST_BYTES_A_MS }

  // Forgets pictures whose paths begin so.
  forget(prefix) {
    this.generation += 1
    this.coming.clear()
    for (const [path, picture] of this.kept) {
      if (!path.startsWith(prefix)) continue
      this.kept.delete(path)
      this.keptBytes -= picture.samples.byteLength
    }
  }

  // The whole picture where it is here already.
  at(frame) {
    const found = this.kept.get(frame.path)
    if (found) { this.kept.delete(frame.path); this.kept.set(frame.path, found) }
    return found
  }

  // Loads a frame; onPicture gets each better one. Resolves to the whole picture.
  async load(frame, { onPicture = () => {}, signal, isUrgent = true } = {}) {
    const here = this.at(frame) ?? (await this.#fromAhead(frame, signal))
    if (here) { onPicture(here); return here }
    if (!frame.rows || !frame.columns) throw new FrameError("Rows or Columns are missing.")
    if (frame.isPalette && !frame.palette) throw new FrameError("The colours of its palette are missing or malformed.")
    const coming = this.#fetched(frame, onPicture, signal, isUrgent)
    const { path } = frame
    const { generation } = this
    if (!isUrgent) this.coming.set(path, coming)
    try {
      const whole = await coming
      if (generation === this.generation) this.#keep(frame, whole)
      onPicture(whole)
      return whole
    } finally {
      if (this.coming.get(path) === coming) this.coming.delete(path)
    }
  }

  // What is being fetched ahead is waited for where that is quick; null where it does not come.
  async #fromAhead(frame, signal) {
    const coming = this.isFast ? this.coming.get(frame.path) : null
    if (!coming) return null
    const found = await coming.catch(() => null)
    if (signal?.aborted) throw new DOMException("No longer wanted", "AbortError")
    return found
  }

  #fetched(frame, onPicture, signal, isUrgent) {
    // The first syntax that a frame is to be had in is the one it is stored in.
    if (HTJ2K.has(frame.syntax)) return this.#progressive(frame, onPicture, signal, isUrgent)
    if (halvingsOf(frame) && frame.syntax === LITTLE_ENDIAN && isPlain(frame)) return this.#thinnedOut(frame, onPicture, signal)
    return this.#asItIs(frame, signal)
  }

  async #progressive(frame, onPicture, signal, isUrgent) {
    const halvings = halvingsOf(frame)
    const headers = { Accept: "image/jphc" }
    if (isUrgent || halvings) headers.Range = `bytes=0-${this.#firstBytesOf(frame) - 1}`
    const answer = await ask(frame.path, headers, signal)
    if (answer.status === 406) return this.#asItIs(frame, signal)
    let bytes = new Uint8Array(await bodyOf(answer))
    const codestream = headerOf(bytes)
    if (codestream && !isDecodable(codestream)) return this.#asItIs(frame, signal)
    if (codestream) checkSize(frame, codestream)
    const size = answer.status === 206 ? Number(answer.headers.get("content-range")?.split("/")[1]) : bytes.length
    this.#learn(frame, size)
    const wanted = halvings ? codestream?.resolutionEnds?.at(-1 - halvings) : size
    if (!wanted) return this.#rendered(frame, signal)
    if (bytes.length < wanted) bytes = await this.#rest(frame, bytes, { size, wanted, tag: answer.headers.get("etag") }, codestream, onPicture, signal)
    // A long header ends behind the first bytes, and another image may have taken the place of the one that they are of.
    const header = headerOf(bytes)
    if (header && !isDecodable(header)) return this.#asItIs(frame, signal)
    const whole = await this.#decoded(frame, bytes, halvings, isUrgent)
    return { ...whole, isWhole: true, isReduced: halvings > 0, bytes: bytes.length }
  }

  // As much as makes a useful picture: a share of the bytes, once one such frame was seen.
  #firstBytesOf(frame) {
    const known = this.firstBytes.get(likeness(frame))
    if (known) return known
    const native = frame.rows * frame.columns * frame.samplesPerPixel * (frame.bitsAllocated / 8)
    return Math.round(Math.min(MOST_FIRST_BYTES, Math.max(LEAST_BYTES, native * 0.033)))
  }

  #learn(frame, size) {
    this.firstBytes.set(likeness(frame), Math.round(Math.max(LEAST_BYTES, Math.min(MOST_FIRST_BYTES, size * USEFUL_SHARE))))
  }

  // Fetches what is missing in one request, and shows each resolution as soon as it is there.
  async #rest(frame, start, { size, wanted, tag }, codestream, onPicture, signal) {
    const ends = mayBePreviewed(frame) ? codestream?.resolutionEnds ?? [] : []
    let bytes = new Uint8Array(wanted)
    bytes.set(start)
    let filled = start.length
    let shown = -1
    let busy = Promise.resolve()
    const showBest = (least) => {
      const best = ends.findLastIndex((end, index) => end - (1 - least) * (end - (ends[index - 1] ?? 0)) <= filled)
      if (best <= shown || best >= ends.length - 1) return
      shown = best
      const level = ends.length - 1 - best
      const part = bytes.slice(0, Math.min(filled, ends[best]))
      busy = this.#decoded(frame, part, level, true)
        .then((picture) => { if (!signal?.aborted) onPicture({ ...picture, isWhole: false, bytes: part.length }) })
        .catch(() => { /* the next one is better */ })
    }
    // Of a resolution that half of is here the decoder makes a picture, too: it only lacks the finest detail.
    showBest(0.5)
    const range = wanted < size ? `bytes=${filled}-${wanted - 1}` : `bytes=${filled}-`
    const begin = performance.now()
    const answer = await ask(frame.path, { Accept: "image/jphc", Range: range }, signal)
    if (answer.status !== 206 || answer.headers.get("etag") !== tag) {
      // Another image has taken the place of the one that the beginning is of: nothing of that may be among its pixels.
      await busy
      return new Uint8Array(await bodyOf(await ask(frame.path, { Accept: "image/jphc" }, signal)))
    }
    const reader = answer.body.getReader()
    for (;;) {
      const { done, value } = await reader.read().catch(lost)
      if (done) break
      bytes.set(value.subarray(0, wanted - filled), filled)
      filled = Math.min(wanted, filled + value.length)
      showBest(1)
    }
    if (filled !== wanted) throw new FrameError("The connection ended in the middle of the image.", 0, true)
    this.#measure(wanted - start.length, performance.now() - begin)
    await busy
    return bytes
  }

  #measure(bytes, milliseconds) {
    const speed = bytes / Math.max(1, milliseconds)
    // A link that has become slow is known at once, one that is fast again after a while.
    this.speed = this.speed && speed > this.speed ? 0.7 * this.speed + 0.3 * speed : speed
  }

  // The samples of a codestream, or of the beginning that a resolution needs, as the data set describes them.
  decode(frame, bytes, level) { return this.#decoded(frame, bytes, level, false) }

  // The stored values as the server decodes them; null where there are none.
  async values(frame, signal) {
    const picture = await this.#asItIs(frame, signal)
    return picture.isRendered || picture.isReduced ? null : picture
  }

  async #decoded(frame, bytes, level, isUrgent) {
    try {
      const codestream = headerOf(bytes)
      if (!codestream) throw new Error("it ends before its first pixel")
      checkSize(frame, codestream)
      const picture = await this.decoder.decode(bytes, level, isUrgent)
      if (picture.components === 1) picture.samples = fit(frame, codestream, picture.samples)
      return picture
    } catch (error) {
      throw error instanceof FrameError ? error : new FrameError(`This image does not decode: ${error.message}.`)
    }
  }

  // Stored values that the server decodes, where the decoder here would not give them as they are.
  async #asItIs(frame, signal) {
    if (frame.samplesPerPixel !== 1 || halvingsOf(frame)) return this.#rendered(frame, signal)
    let answer = await ask(frame.path, { Accept: NATIVE }, signal)
    if (answer.status === 406) answer = await ask(frame.path, { Accept: AS_STORED }, signal)
    if (answer.status === 406) return this.#rendered(frame, signal)
    const content = await bodyOf(answer)
    const syntax = /transfer-syntax="?([0-9.]+)/.exec(answer.headers.get("content-type") ?? "")?.[1] ?? ""
    const found = nativeSamples(frame, content, syntax === BIG_ENDIAN)
    if (!found) return this.#rendered(frame, signal)
    return { width: frame.columns, height: frame.rows, components: 1, ...found, isWhole: true, isReduced: false, bytes: content.byteLength }
  }

  // Of native pixels that are too many to be held, those of some rows and columns, as they come by; nothing else is kept.
  async #thinnedOut(frame, onPicture, signal) {
    const step = 2 ** halvingsOf(frame)
    const [width, height] = [Math.ceil(frame.columns / step), Math.ceil(frame.rows / step)]
    const { samplesPerPixel: components } = frame
    const pixelBytes = (frame.bitsAllocated / 8) * components
    const rowBytes = frame.columns * pixelBytes
    const kept = new Uint8Array(width * height * pixelBytes)
    const Kind = kindOf(frame, frame.bitsAllocated / 8)
    const picture = (isWhole, bytes) => ({ width, height, components, samples: thinnedSamples(frame, Kind, isWhole ? kept : kept.slice()), isWhole, isReduced: true, bytes })
    const answer = await ask(frame.path, { Accept: NATIVE }, signal)
    if (answer.status === 406) return this.#rendered(frame, signal)
    const reader = answer.body.getReader()
    let [at, told] = [0, 0]
    for (;;) {
      const { done, value } = await reader.read().catch(lost)
      if (done) break
      keepSome(kept, value, at, { step, width, pixelBytes, rowBytes, height })
      at += value.length
      if (at - told > TOLD_BYTES) { told = at; onPicture(picture(false, at)) }
    }
    if (at < rowBytes * frame.rows) throw new FrameError("The connection ended in the middle of the image.", 0, true)
    return picture(true, at)
  }

  // A picture that the server makes, where colours are to be worked out, or the image is too large.
  async #rendered(frame, signal) {
    const halvings = halvingsOf(frame)
    const size = [frame.columns, frame.rows].map((side) => Math.min(MOST_RENDERED_SIDE, Math.ceil(side / 2 ** halvings)))
    const answer = await ask(`${frame.path}/rendered${halvings ? `?viewport=${size}` : ""}`, { Accept: "image/png" }, signal)
    if (!answer.ok) throw new FrameError("This image does not decode: the server cannot make a picture of it.", answer.status)
    const bitmap = await createImageBitmap(new Blob([await bodyOf(answer)]), { colorSpaceConversion: "none", premultiplyAlpha: "none" })
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
    return { width, height, components: 3, samples, isWhole: true, isReduced: halvings > 0, isRendered: true, bytes: 0 }
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

const likeness = ({ rows, columns, samplesPerPixel, bitsAllocated }) => `${rows} ${columns} ${samplesPerPixel} ${bitsAllocated}`

// Indices of a palette, segments, and bits of an overlay have no mean: there is no smaller picture of them.
const mayBePreviewed = (frame) => !frame.palette && frame.bitsStored > 1 && !frame.hasOverlayBits

function checkSize({ rows, columns }, codestream) {
  if (codestream.width === columns && codestream.height === rows) return
  throw new FrameError(`This image does not decode: it has ${codestream.width} × ${codestream.height} pixels, its data set says ${columns} × ${rows}.`)
}

function headerOf(bytes) {
  try {
    return readCodestream(bytes)
  } catch (error) {
    throw new FrameError(`This image does not decode: ${error.message}.`)
  }
}

// Brings samples to the type and to the bits that the data set describes.
function fit(frame, codestream, samples) {
  let fitting = samples
  if (codestream.signed !== frame.isSigned) {
    const Kind = samples.BYTES_PER_ELEMENT === 1 ? (frame.isSigned ? Int8Array : Uint8Array) : frame.isSigned ? Int16Array : Uint16Array
    fitting = new Kind(samples.buffer)
    keepStored({ bitsStored: codestream.bits, highBit: codestream.bits - 1, isSigned: frame.isSigned }, fitting)
  }
  if (codestream.bits > frame.bitsStored) keepStored(frame, fitting)
  return fitting
}

// The samples of native little-endian frames, by how many bytes each has; null where they are none.
function nativeSamples(frame, content, isBigEndian) {
  const count = frame.rows * frame.columns
  // A frame of one bit a pixel begins at a byte.
  if (frame.bitsAllocated === 1) return content.byteLength * 8 < count ? null : { samples: unpackBits(new Uint8Array(content), count) }
  const bytes = content.byteLength < count ? 0 : frame.isFloat ? frame.bitsAllocated / 8 : [8, 4, 2, 1].find((size) => content.byteLength >= count * size)
  const Kind = kindOf(frame, bytes)
  if (!Kind || content.byteLength < count * bytes) return null
  if (isBigEndian && bytes > 1) swap(new Uint8Array(content), bytes)
  const samples = new Kind(content, 0, count)
  if (bytes === 8 && !frame.isFloat) return { samples: Float64Array.from(samples, Number) }
  if (!frame.isFloat && frame.bitsStored < bytes * 8) keepStored(frame, samples)
  return { samples }
}

const kindOf = (frame, bytes) => (frame.isFloat ? { 4: Float32Array, 8: Float64Array } : KINDS[frame.isSigned ? "signed" : "unsigned"])[bytes]

const isPlain = (frame) => frame.bitsAllocated % 8 === 0 && (frame.samplesPerPixel === 1 || (frame.samplesPerPixel === 3 && frame.photometric === "RGB" && frame.bitsAllocated === 8 && frame.isInterleaved))

// Copies the pixels of a chunk that are kept; the chunk begins `at` bytes of the frame, perhaps within a pixel.
function keepSome(kept, chunk, at, { step, width, pixelBytes, rowBytes, height }) {
  const stride = step * pixelBytes
  const last = Math.min(height - 1, Math.floor((at + chunk.length - 1) / rowBytes / step))
  for (let row = Math.max(0, Math.floor(at / rowBytes / step)); row <= last; row += 1) {
    const start = row * step * rowBytes - at
    const from = Math.max(0, Math.floor(-start / stride))
    for (let column = from; column < width; column += 1) {
      const place = start + column * stride
      if (place >= chunk.length) break
      const target = (row * width + column) * pixelBytes
      for (let byte = Math.max(0, -place); byte < pixelBytes && place + byte < chunk.length; byte += 1) kept[target + byte] = chunk[place + byte]
    }
  }
}

function thinnedSamples(frame, Kind, bytes) {
  const samples = new Kind(bytes.buffer)
  if (Kind === BigInt64Array || Kind === BigUint64Array) return Float64Array.from(samples, Number)
  if (!frame.isFloat && frame.bitsStored < Kind.BYTES_PER_ELEMENT * 8) keepStored(frame, samples)
  return samples
}

const KINDS = {
  signed: { 1: Int8Array, 2: Int16Array, 4: Int32Array, 8: BigInt64Array },
  unsigned: { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array },
}

function swap(bytes, size) {
  for (let at = 0; at + size <= bytes.length; at += size) bytes.subarray(at, at + size).reverse()
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

function lost(error) {
  if (error.name === "AbortError") throw error
  throw new FrameError("The connection was lost in the middle of the image.", 0, true)
}

export const bodyOf = (answer) => answer.arrayBuffer().catch(lost)

export async function ask(path, headers, signal) {
  let answer
  try {
    // Kept here, and not by the browser: it would take a part of one form of a frame for a part of another.
    answer = await fetch(path, { headers, signal, cache: "no-store" })
  } catch (error) {
    if (error.name === "AbortError") throw error
    throw new FrameError("The server cannot be reached. It is asked again.", 0, true)
  }
  if (answer.ok || answer.status === 406) return answer
  if (answer.status === 401) throw new FrameError("Your session has ended.", 401, true)
  if (answer.status === 403) throw new FrameError("You may not see this image.", 403)
  if (answer.status === 404) throw new FrameError("The server does not have this image.", 404)
  throw new FrameError(`The server does not give this image (${answer.status}).`, answer.status, answer.status === 429 || answer.status >= 500)
}
