// Overlay planes (PS3.3 C.9.2, C.9.3): drawings of one bit a pixel, in groups 6000 to 601E, with bits of their own or, in files
// from before 2004, in those of the pixel data that no value uses.
import { unpackBits } from "../bits.js"
import { bytesOf } from "../documents/bulk.js"
import { css } from "./colours.js"
import { number, numbers, text } from "../dicom.js"
import { note } from "./notes.js"

const COLOURS = [[126, 231, 135], [255, 170, 90], [150, 190, 255], [255, 150, 220]]
const MOST_DRAWN = 64
const MOST_DRAWN_BYTES = 128 * 1024 * 1024
// As of an image that is shown at all.
const MOST_PIXELS = 2 ** 25
const RAW = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"

const groupsOf = (dataset) => Array.from({ length: 16 }, (_, index) => (0x6000 + 2 * index).toString(16).toUpperCase()).filter((group) => dataset[`${group}0010`] || dataset[`${group}3000`])

// Lays the overlay planes of the images of a viewport over them, where they have some.
export function layPlanes(viewport, page) {
  const groups = [...new Set([...new Set(viewport.stack.frames.map(({ dataset }) => dataset))].flatMap(groupsOf))].sort()
  if (groups.length) viewport.addLayer(new OverlayPlanes(viewport, page, groups))
}

class OverlayPlanes {
  constructor(viewport, page, groups) {
    Object.assign(this, { viewport, page })
    this.title = "Overlay planes"
    this.isOfPlanes = true
    this.problems = []
    this.opacity = 1
    this.height = 2
    this.items = groups.map((group, index) => ({ key: group, ...named(viewport, group), colour: COLOURS[index % COLOURS.length], css: css(COLOURS[index % COLOURS.length]), isVisible: true }))
    this.drawn = new Map()
    this.closing = new AbortController()
    this.isComplete = false
  }

  close() {
    this.closing.abort()
    this.drawn.clear()
  }

  setOpacity(share) { this.opacity = share; this.viewport.draw() }

  setVisible(keys, isVisible) {
    for (const item of this.items) if (keys.includes(item.key)) item.isVisible = isVisible
    this.viewport.draw()
  }

  // All off where any is on, else all on.
  toggle() {
    this.setVisible(this.items.map(({ key }) => key), !this.items.some(({ isVisible }) => isVisible))
    this.viewport.element.dispatchEvent(new CustomEvent("viewer:overlays", { bubbles: true }))
  }

  draw(viewport) {
    const { frame, context } = viewport
    context.imageSmoothingEnabled = false
    context.globalAlpha = this.opacity
    const shown = this.items.filter(({ key, isVisible }) => isVisible && frame.dataset[`${key}0010`])
    const planes = shown.map((item) => this.#plane(frame, item))
    this.isComplete = planes.every(({ isReady }) => isReady)
    for (const { canvas, row, column } of planes) if (canvas) context.drawImage(canvas, column, row)
    const failed = planes.findIndex(({ failure }) => failure)
    if (failed >= 0) note(viewport, this, `Overlay plane ${shown[failed].key} is not shown: ${planes[failed].failure}`)
  }

  // Why a plane of an image is not shown, in words; nothing where all are.
  failureOf(frame) { return this.items.map(({ key }) => this.drawn.get(`${key} ${frame.path}`)?.failure).find(Boolean) ?? "" }

  // The picture of a plane, begun when it is first asked for.
  #plane(frame, item) {
    const key = `${item.key} ${frame.path}`
    if (!this.drawn.has(key)) {
      const plane = { isReady: false }
      this.drawn.set(key, plane)
      for (const old of this.drawn.keys()) { if (this.drawn.size <= MOST_DRAWN) break; this.drawn.delete(old) }
      picture(frame, item, this.page, this.closing.signal)
        .then((found) => Object.assign(plane, found), (error) => { plane.failure = error.message })
        .then(() => {
          plane.isReady = true
          this.#forget()
          if (!this.closing.signal.aborted && this.viewport.frame === frame) this.viewport.draw()
        })
    }
    return this.drawn.get(key)
  }

  // Of large planes only the last ones are kept, and those of the image that is shown.
  #forget() {
    const { path } = this.viewport.frame ?? {}
    let bytes = 0
    for (const [key, { canvas }] of [...this.drawn].reverse()) {
      bytes += canvas ? canvas.width * canvas.height * 4 : 0
      if (bytes > MOST_DRAWN_BYTES && !key.endsWith(` ${path}`)) this.drawn.delete(key)
    }
  }
}

function named({ stack }, group) {
  const { dataset } = stack.frames.find((frame) => groupsOf(frame.dataset).includes(group))
  const [label, description] = [text(dataset, `${group}1500`), text(dataset, `${group}0022`)]
  const kind = { G: "Graphics", R: "Region of interest" }[text(dataset, `${group}0040`)] ?? ""
  return { name: label || description || `Overlay ${group}`, detail: [label && description, kind].filter(Boolean).join(" · ") }
}

async function picture(frame, { key: group, colour }, page, signal) {
  const { dataset } = frame
  const [rows, columns] = [number(dataset, `${group}0010`), number(dataset, `${group}0011`)]
  if (!(rows > 0 && columns > 0)) throw new Error("the file does not say how large it is.")
  if (rows * columns > MOST_PIXELS) throw new Error("it is too large to be shown here.")
  const [row = 1, column = 1] = numbers(dataset, `${group}0050`)
  const bits = await (dataset[`${group}3000`] ? ownBits(frame, group, rows * columns, page) : unusedBits(frame, group, signal))
  if (!bits) return {}
  const pixels = new ImageData(columns, rows)
  const words = new Uint32Array(pixels.data.buffer)
  const word = 0xff000000 | (colour[2] << 16) | (colour[1] << 8) | colour[0]
  for (let at = 0; at < words.length; at += 1) if (bits[at]) words[at] = word
  const canvas = new OffscreenCanvas(columns, rows)
  canvas.getContext("2d").putImageData(pixels, 0, 0)
  return { canvas, row: row - 1, column: column - 1 }
}

const bytes = new WeakMap()

// The bits of one frame within the data of the plane; frames follow each other without a gap (PS3.5 section 8.1.2).
async function ownBits({ dataset, index }, group, count, page) {
  const frames = number(dataset, `${group}0015`)
  const first = (number(dataset, `${group}0051`) ?? 1) - 1
  // Without a number of frames the plane is that of all images (PS3.3 C.9.3).
  const own = frames === undefined ? 0 : index - first
  if (frames !== undefined && (own < 0 || own >= frames)) return null
  const attribute = dataset[`${group}3000`]
  if (!bytes.has(attribute)) bytes.set(attribute, bytesOf(page, attribute))
  const data = (await bytes.get(attribute)) ?? new Uint8Array()
  if (data.length * 8 < (own + 1) * count) throw new Error(`it has ${data.length} bytes, ${Math.ceil(((own + 1) * count) / 8)} are needed.`)
  return unpackBits(data, count, own * count)
}

// The bits beside the values of the pixel data, which only the stored cells have.
async function unusedBits(frame, group, signal) {
  const { rows, columns, bitsAllocated, bitsStored, highBit, dataset } = frame
  const position = number(dataset, `${group}0102`)
  if (!(number(dataset, `${group}0100`) === bitsAllocated && position >= 0 && position < bitsAllocated)) throw new Error("it has no data, and does not say which bits of the image are its own.")
  if (position <= highBit && position > highBit - bitsStored) throw new Error(`bit ${position} is one of the image's own.`)
  if (number(dataset, `${group}0010`) !== rows || number(dataset, `${group}0011`) !== columns || bitsAllocated > 16) throw new Error("it lies within the image and has another size.")
  const answer = await fetch(frame.path, { headers: { Accept: RAW }, cache: "no-store", signal })
  if (!answer.ok) throw new Error(`the server does not give the stored bits (${answer.status}).`)
  const content = await answer.arrayBuffer()
  const cells = bitsAllocated === 8 ? new Uint8Array(content) : new Uint16Array(content)
  if (cells.length < rows * columns) throw new Error("the image has too few bytes.")
  return cells.subarray(0, rows * columns).map((cell) => (cell >>> position) & 1)
}
