// Segmentations as colours over the images that they were made for.
import { text } from "../dicom.js"
import { note } from "./notes.js"
import { addLayers, openOver } from "./references.js"
import { layOver, readSegmentation } from "./segments.js"

const AT_ONCE = 4
const AHEAD = 2
const MOST_DRAWN_BYTES = 96 * 1024 * 1024

export const open = (context) => openOver(context, segmentationLayer)
export const lay = (context) => addLayers(context, segmentationLayer)

function segmentationLayer({ page, series, dataset, path, viewport }) {
  const read = readSegmentation(dataset, path)
  const parts = layOver(read, viewport.stack.frames)
  return new SegmentationLayer({ page, series, viewport, read, parts })
}

class SegmentationLayer {
  constructor({ page, series, viewport, read, parts }) {
    Object.assign(this, { page, viewport, read, parts })
    this.series = text(series, "0020000E")
    this.title = text(series, "0008103E") || [text(series, "00080060"), text(series, "00200011"), text(read.dataset, "00700080")].filter(Boolean).join(" ") || "Segmentation"
    this.problems = read.problems
    this.items = [...read.segments.values()]
    this.opacity = 0.5
    this.drawn = new Map()
    this.failures = new Map()
    this.loading = new Map()
    this.wanted = []
    this.aborting = new AbortController()
    this.last = null
    this.isComplete = false
  }

  close() {
    this.aborting.abort()
    this.wanted = []
    this.drawn.clear()
  }

  setOpacity(share) { this.opacity = share; this.#redraw() }

  setVisible(keys, isVisible) {
    for (const key of keys) this.read.segments.get(key).isVisible = isVisible
    this.#redraw()
  }

  #redraw() {
    this.drawn.clear()
    this.viewport.draw()
  }

  // The place in the stack of the first image that has the segment; -1 where none has.
  async firstImage(key) {
    const { frames } = this.viewport.stack
    for (const [index, image] of frames.entries()) {
      for (const { frame, segment } of this.parts.get(image)) {
        if (segment === key) return index
        if (this.read.isLabelmap && (await this.#load(frame, false)).samples.includes(key)) return index
      }
    }
    return -1
  }

  draw(viewport) {
    const { frame, context } = viewport
    const parts = this.#partsOf(frame)
    if (this.last !== frame) {
      this.last = frame
      for (const part of parts) this.failures.delete(part.frame.path)
    }
    const missing = parts.filter((part) => !this.#isHere(part))
    this.isComplete = missing.every((part) => this.failures.has(part.frame.path))
    const failed = missing.find((part) => this.failures.has(part.frame.path))
    this.#fetch(frame)
    context.imageSmoothingEnabled = false
    context.globalAlpha = 1
    for (const { canvas, matrix } of this.#pictures(frame, parts)) {
      context.save()
      context.transform(...matrix)
      context.drawImage(canvas, 0, 0)
      context.restore()
    }
    if (failed) note(viewport, this, `${this.title}: frame ${failed.frame.index + 1} is not shown: ${this.failures.get(failed.frame.path)}`)
    else if (missing.length) note(viewport, this, `${this.title} is loading …`)
  }

  // Frames over an image that have something to show.
  #partsOf(image) {
    return (this.parts.get(image) ?? []).filter(({ segment }) => this.read.isLabelmap || this.read.segments.get(segment).isVisible)
  }

  #isHere({ frame }) { return this.page.store.kept.has(frame.path) }

  // One picture for all frames that lie alike: their colours over each other, in the order of their numbers.
  #pictures(image, parts) {
    const here = parts.filter((part) => this.#isHere(part))
    const known = this.drawn.get(image)
    if (known?.count === here.length) return known.pictures
    const groups = Map.groupBy(here, ({ frame, matrix }) => `${frame.columns} ${frame.rows} ${matrix}`)
    const pictures = [...groups.values()].map((group) => ({ matrix: group[0].matrix, canvas: this.#picture(group) }))
    this.#keep(image, { count: here.length, pictures })
    return pictures
  }

  #picture(group) {
    const { columns, rows } = group[0].frame
    const pixels = new ImageData(columns, rows)
    for (const { frame, segment } of group) {
      const { samples } = this.page.store.at(frame)
      if (this.read.isLabelmap) paintLabels(pixels.data, samples, this.#labelColours(), this.opacity)
      else paint(pixels.data, samples, this.read.segments.get(segment).colour, this.opacity / this.read.most)
    }
    const canvas = new OffscreenCanvas(columns, rows)
    canvas.getContext("2d").putImageData(pixels, 0, 0)
    return canvas
  }

  #labelColours() {
    return new Map(this.items.filter(({ isVisible }) => isVisible).map(({ key, colour }) => [key, colour]))
  }

  #keep(image, entry) {
    this.drawn.delete(image)
    this.drawn.set(image, entry)
    let bytes = 0
    for (const [other, { pictures }] of [...this.drawn].reverse()) {
      bytes += pictures.reduce((sum, { canvas }) => sum + canvas.width * canvas.height * 4, 0)
      if (bytes > MOST_DRAWN_BYTES && other !== image) this.drawn.delete(other)
    }
  }

  // Fetches the frames of the image that is shown, then those of its neighbours; what was wanted before and not begun is not.
  #fetch(image) {
    const { frames, index, direction } = this.viewport.stack
    const ahead = Array.from({ length: 2 * AHEAD }, (_, step) => frames[index + (step % 2 ? -1 : 1) * direction * (1 + (step >> 1))]).filter(Boolean)
    this.wanted = [image, ...ahead].flatMap((one) => this.#partsOf(one)).filter((part) => !this.#isHere(part) && !this.loading.has(part.frame.path) && !this.failures.has(part.frame.path))
    while (this.loading.size < AT_ONCE && this.wanted.length) this.#begin(this.wanted.shift().frame)
  }

  async #begin(frame) {
    const loading = this.#load(frame, true)
    this.loading.set(frame.path, loading)
    try {
      await loading
    } catch (error) {
      if (!this.aborting.signal.aborted) this.failures.set(frame.path, error.message)
    }
    this.loading.delete(frame.path)
    if (this.aborting.signal.aborted) return
    if (this.parts.get(this.viewport.frame)?.some((part) => part.frame === frame)) this.viewport.draw()
    else if (this.wanted.length) this.#begin(this.wanted.shift().frame)
  }

  async #load(frame, isUrgent) {
    const found = await this.page.store.load(frame, { signal: this.aborting.signal, isUrgent })
    if (found.components !== 1 || found.width !== frame.columns || found.height !== frame.rows) throw new Error("it does not have the size or the kind of samples that the file says")
    if (this.read.isLabelmap) this.#checkLabels(frame, found.samples)
    return found
  }

  // Values that no segment has are not shown; that they are there is told.
  #checkLabels(frame, samples) {
    const strange = [...new Set(samples)].filter((label) => label !== 0 && label !== this.read.background && !this.read.segments.has(label))
    if (!strange.length) return
    const words = `Frame ${frame.index + 1} has values of segments that the file does not describe, not shown: ${strange.slice(0, 5).join(", ")}${strange.length > 5 ? ", …" : ""}.`
    if (!this.problems.includes(words)) {
      this.problems.push(words)
      this.viewport.element.dispatchEvent(new CustomEvent("viewer:overlays", { bubbles: true }))
    }
  }
}

// Paints a colour over others, as opaque as a sample says.
export function paint(data, samples, [red, green, blue], share) {
  for (let at = 0, to = 0; at < samples.length; at += 1, to += 4) {
    if (samples[at]) blend(data, to, red, green, blue, Math.min(1, samples[at] * share))
  }
}

export function paintLabels(data, samples, colours, opacity) {
  let [last, colour] = [-1, undefined]
  for (let at = 0, to = 0; at < samples.length; at += 1, to += 4) {
    const label = samples[at]
    if (label !== last) { last = label; colour = colours.get(label) }
    if (colour) blend(data, to, colour[0], colour[1], colour[2], opacity)
  }
}

// One colour over another that is not opaque (Porter and Duff's "over").
function blend(data, to, red, green, blue, share) {
  const below = (data[to + 3] / 255) * (1 - share)
  const all = share + below
  data[to] = (red * share + data[to] * below) / all
  data[to + 1] = (green * share + data[to + 1] * below) / all
  data[to + 2] = (blue * share + data[to + 2] * below) / all
  data[to + 3] = 255 * all
}
