// Structure sets of radiotherapy as contours over the images that they were made for.
import { text } from "../dicom.js"
import { css } from "./colours.js"
import { addLayers, openOver } from "./references.js"
import { layContours, readStructures, referenceOf } from "./structures.js"

// Points closer than this many pixels of the canvas to the one before make no difference.
const NEAR = 0.4

export const open = (context) => openOver(context, structureLayer)
export const lay = (context) => addLayers(context, structureLayer)

function structureLayer({ series, dataset, viewport }) {
  const read = readStructures(dataset)
  return new StructureLayer(series, viewport, read, layContours(read, viewport.stack.frames, referenceOf(dataset)), text(dataset, "30060002"))
}

class StructureLayer {
  constructor(series, viewport, read, found, label) {
    Object.assign(this, { viewport, read, found })
    this.series = text(series, "0020000E")
    this.title = text(series, "0008103E") || label || "Structure set"
    this.problems = read.problems
    this.items = [...read.regions.values()]
    this.opacity = 0.15
    this.height = 1
  }

  setOpacity(share) { this.opacity = share; this.viewport.draw() }

  setVisible(keys, isVisible) {
    for (const key of keys) this.read.regions.get(key).isVisible = isVisible
    this.viewport.draw()
  }

  firstImage(key) { return this.viewport.stack.frames.findIndex((image) => this.found.get(image)?.has(key)) }

  // Contours and points of each region on an image, in its columns and rows.
  contoursOn(image) { return [...(this.found.get(image)?.values() ?? [])] }

  draw(viewport) {
    const { context, frame, matrix, ratio } = viewport
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.lineJoin = "round"
    for (const { key, contours, points } of this.contoursOn(frame)) {
      const region = this.read.regions.get(key)
      if (!region.isVisible) continue
      context.fillStyle = css(region.colour, this.opacity)
      context.strokeStyle = region.css
      context.lineWidth = 1.5 * ratio
      this.#fill(context, contours, matrix)
      for (const contour of contours) context.stroke(outline(contour, matrix))
      for (const point of points) cross(context, point, matrix, ratio)
    }
  }

  // Areas: those that are combined by exclusive or, with the holes that this makes, and the union of all others.
  #fill(context, contours, matrix) {
    const excluded = contours.filter(({ type }) => type === "CLOSEDPLANAR_XOR")
    const closed = contours.filter(({ type }) => type === "CLOSED_PLANAR")
    if (excluded.length) context.fill(joined(excluded, matrix, false), "evenodd")
    // A way into a hole and back, along the same line, leaves it out by either rule.
    if (closed.length === 1) context.fill(outline(closed[0], matrix), "evenodd")
    else if (closed.length) context.fill(joined(closed, matrix, true), "nonzero")
  }
}

function joined(contours, matrix, isTurned) {
  const path = new Path2D()
  for (const contour of contours) path.addPath(outline(contour, matrix, isTurned && areaOf(contour.places) < 0))
  return path
}

// Twice the area within, negative the other way round.
function areaOf(places) {
  let area = 0
  for (let at = 0; at < places.length; at += 2) {
    const next = (at + 2) % places.length
    area += places[at] * places[next + 1] - places[next] * places[at + 1]
  }
  return area
}

// A contour on the canvas, without points that nobody would see; those at its ends stay.
function outline({ type, places }, { a, b, c, d, e, f }, isReversed = false) {
  const path = new Path2D()
  const count = places.length / 2
  let [lastX, lastY] = [Infinity, Infinity]
  for (let step = 0; step < count; step += 1) {
    const at = 2 * (isReversed ? count - 1 - step : step)
    const x = a * places[at] + c * places[at + 1] + e
    const y = b * places[at] + d * places[at + 1] + f
    if (step && step < count - 1 && Math.abs(x - lastX) < NEAR && Math.abs(y - lastY) < NEAR) continue
    if (step) path.lineTo(x, y)
    else path.moveTo(x, y)
    lastX = x
    lastY = y
  }
  if (type !== "OPEN_PLANAR") path.closePath()
  return path
}

function cross(context, { places }, matrix, ratio) {
  for (let at = 0; at < places.length; at += 2) {
    const { x, y } = matrix.transformPoint(new DOMPoint(places[at], places[at + 1]))
    context.beginPath()
    context.arc(x, y, 3 * ratio, 0, 2 * Math.PI)
    for (const [dx, dy] of [[6 * ratio, 0], [0, 6 * ratio]]) { context.moveTo(x - dx, y - dy); context.lineTo(x + dx, y + dy) }
    context.stroke()
  }
}
