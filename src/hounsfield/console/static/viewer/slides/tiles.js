// Tiles of a slide as pictures: stored JPEG by the browser, all else by the loader of frames; grey through a window.
import { ask, bodyOf } from "../frames.js"
import { colourWords, isSignedArray, isWide, pixelsOf, wholeRange, wordsOf } from "../greyscale.js"

const JPEG = "1.2.840.10008.1.2.4.50"
export class SlideTiles {
  constructor(store) {
    this.store = store
    this.words = { key: "", table: null }
    this.forget()
  }

  // Begins anew with the window, for other frames: some of them stand for all.
  forget(sample = () => []) {
    this.sample = sample
    this.window = null
    this.windowing = null
  }

  // A canvas of a tile, with the parts of all frames that lie in it; what no frame covers stays transparent.
  async draw(image, plane, x, y, signal) {
    const [left, top] = [x * image.tileColumns, y * image.tileRows]
    const width = Math.min(image.tileColumns, image.columns - left)
    const height = Math.min(image.tileRows, image.rows - top)
    const canvas = document.createElement("canvas")
    Object.assign(canvas, { width, height })
    const context = canvas.getContext("2d", { willReadFrequently: true })
    for (const { index, column, row } of plane.framesAt(x, y)) {
      const picture = await this.#picture(image.frameAt(index), signal)
      if (picture instanceof ImageData) {
        const canvasOfFrame = new OffscreenCanvas(picture.width, picture.height)
        canvasOfFrame.getContext("2d").putImageData(picture, 0, 0)
        context.drawImage(canvasOfFrame, column - left, row - top)
      } else {
        context.drawImage(picture, column - left, row - top)
        picture.close()
      }
    }
    return context
  }

  async #picture(frame, signal) {
    if (frame.syntax === JPEG && frame.bitsAllocated === 8) {
      const found = await jpegOf(frame, signal)
      if (found) return found
    }
    const image = await this.store.load(frame, { signal, isUrgent: false })
    if (image.components !== 1) return pixelsOf(image, null, frame)
    // One window for all tiles, so that they fit each other.
    if (!frame.isPalette) this.window ??= await (this.windowing ??= this.#windowOf(frame, signal))
    return pixelsOf(image, this.#words(frame, image), frame)
  }

  async #windowOf(frame, signal) {
    if (frame.windows[0]) return frame.windows[0]
    if (frame.bitsStored <= 8 && !frame.isSigned) return { center: 128, width: 256, curve: "LINEAR", name: "Whole range" }
    const ranges = await Promise.all(this.sample().map((one) => this.store.load(one, { isUrgent: false }).then(({ samples }) => wholeRange(frame, samples)).catch(() => null)))
    const found = ranges.filter(Boolean).length ? ranges.filter(Boolean) : [wholeRange(frame, (await this.store.load(frame, { signal, isUrgent: false })).samples)]
    const low = Math.min(...found.map(({ center, width }) => center - width / 2))
    const high = Math.max(...found.map(({ center, width }) => center + width / 2))
    return { ...found[0], center: (low + high) / 2, width: Math.max(high - low, 1e-6) }
  }

  #words(frame, { samples }) {
    if (isWide(samples)) return wordsOf(frame, this.window, false)
    const key = JSON.stringify([this.window, isSignedArray(samples), frame.instance.sop])
    if (this.words.key !== key) this.words = { key, table: colourWords(frame, this.window, false, isSignedArray(samples)) }
    return this.words.table
  }
}

// The stored JPEG, where a browser takes its colours for what the data set says they are.
async function jpegOf(frame, signal) {
  const answer = await ask(frame.path, { Accept: "image/jpeg" }, signal)
  if (answer.status === 406) return null
  const bytes = new Uint8Array(await bodyOf(answer))
  if (frame.samplesPerPixel !== 3 || isYcc(bytes) !== frame.photometric.startsWith("YBR")) return null
  const picture = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }), { colorSpaceConversion: "none" }).catch(() => null)
  if (picture && (picture.width !== frame.columns || picture.height !== frame.rows)) throw new Error("This tile has another size than the slide says.")
  return picture
}

// Whether a decoder takes the three components of a JPEG for luminance and chrominance, by its markers.
export function isYcc(bytes) {
  let adobe = null
  for (let at = 2; at + 4 < bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1]
    const length = (bytes[at + 2] << 8) | bytes[at + 3]
    const begins = (word) => [...word].every((letter, index) => bytes[at + 4 + index] === letter.charCodeAt(0))
    if (marker === 0xe0 && begins("JFIF")) return true
    if (marker === 0xee && begins("Adobe")) adobe = bytes[at + 15]
    if (marker >= 0xc0 && marker <= 0xc2) {
      if (adobe !== null) return adobe !== 0
      return !(bytes[at + 10] === 0x52 && bytes[at + 13] === 0x47 && bytes[at + 16] === 0x42)
    }
    at += 2 + length
  }
  return true
}
