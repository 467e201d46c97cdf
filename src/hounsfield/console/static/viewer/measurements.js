// Length, angle, ellipse and rectangle on an image, in the units that the file gives for the place, and the values within.
import { calibrationOf, isOneUnit } from "./calibration.js"
import { colourAt } from "./lookup_table.js"
import { realWorldValues } from "./real_world.js"

export const SVG = "http://www.w3.org/2000/svg"
// The height of a line of words.
const LINE = 16

// How many points are needed before a measurement is complete.
export const POINTS = { length: 2, angle: 3, ellipse: 2, rectangle: 2, probe: 1 }
export const NAMES = { length: "Length", angle: "Angle", ellipse: "Ellipse", rectangle: "Rectangle", probe: "Pixel value" }

// Distance of two points, in the unit of the calibration.
function lengthOf({ x, y }, [one, other]) { return Math.hypot((one[0] - other[0]) * x, (one[1] - other[1]) * y) }

// Of pixels without a size the shape is known (PixelAspectRatio).
const shapeOf = (size, { aspect }) => (size.unitX === "px" ? { ...size, y: aspect } : size)

// Angle at the second point, in degrees, where x and y are the sizes of a pixel.
export function angleOf({ x, y }, [one, corner, other]) {
  const [ax, ay] = [(one[0] - corner[0]) * x, (one[1] - corner[1]) * y]
  const [bx, by] = [(other[0] - corner[0]) * x, (other[1] - corner[1]) * y]
  return (Math.abs(Math.atan2(ax * by - ay * bx, ax * bx + ay * by)) * 180) / Math.PI
}

function box([one, other]) {
  return { left: Math.min(one[0], other[0]), right: Math.max(one[0], other[0]), top: Math.min(one[1], other[1]), bottom: Math.max(one[1], other[1]) }
}

// Calls a function with the place of each pixel whose centre lies within the figure.
function eachWithin(image, kind, points, visit) {
  const { left, right, top, bottom } = box(points)
  const [centerX, centerY, radiusX, radiusY] = [(left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2]
  for (let row = Math.max(0, Math.ceil(top - 0.5)); row + 0.5 <= bottom && row < image.height; row += 1) {
    for (let column = Math.max(0, Math.ceil(left - 0.5)); column + 0.5 <= right && column < image.width; column += 1) {
      if (kind === "ellipse" && ((column + 0.5 - centerX) / radiusX) ** 2 + ((row + 0.5 - centerY) / radiusY) ** 2 > 1) continue
      visit(row * image.width + column)
    }
  }
}

// Mean, standard deviation, smallest and largest of values as they come.
class Statistics {
  count = 0
  mean = 0
  squares = 0
  least = Infinity
  most = -Infinity

  add(value) {
    this.count += 1
    const before = value - this.mean
    this.mean += before / this.count
    this.squares += before * (value - this.mean)
    this.least = Math.min(this.least, value)
    this.most = Math.max(this.most, value)
  }

  get deviation() { return Math.sqrt(this.squares / this.count) }
}

const short = (value) => String(Number(value.toPrecision(6)))
// Tenths, and of what is less than one, as in images of the eye, three digits.
export const rounded = (size) => (size > 0 && size < 1 ? String(Number(size.toPrecision(3))) : size.toFixed(1))
const spaced = (unit) => (unit ? ` ${unit}` : "")

// The lines that say what a measurement measures.
export function describe(viewport, { kind, points }) {
  const { frame } = viewport
  const size = calibrationOf(frame, points)
  const note = size.note ? [size.note] : []
  if (kind === "length") return [...lengthLines(size, points), ...note]
  if (kind === "angle") return isOneUnit(size) ? [`${angleOf(shapeOf(size, frame), points).toFixed(1)}°`, ...note] : ["no angle between different units"]
  if (kind === "probe") return probeLines(viewport, points[0])
  return [areaOf(size, kind, points), ...note, ...valueLines(viewport, kind, points)]
}

function lengthLines(size, points) {
  if (isOneUnit(size)) return [`${rounded(lengthOf(size, points))} ${size.unitX}`]
  const [one, other] = points
  return [`${short(Math.abs(one[0] - other[0]) * size.x)} ${size.unitX}, ${short(Math.abs(one[1] - other[1]) * size.y)} ${size.unitY}`]
}

function areaOf(size, kind, points) {
  const { left, right, top, bottom } = box(points)
  const area = (right - left) * size.x * (bottom - top) * size.y * (kind === "ellipse" ? Math.PI / 4 : 1)
  return `${area < 100 ? rounded(area) : area.toFixed(0)} ${isOneUnit(size) ? `${size.unitX}²` : `${size.unitX}·${size.unitY}`}`
}

function probeLines(viewport, point) {
  const { frame, suv } = viewport
  const found = viewport.probe(point)
  if (!found) return viewport.image?.isReduced ? ["no value: the image is shown smaller than it is"] : []
  if (found.colour) return [`RGB ${found.colour.join(", ")}${found.stored === undefined ? "" : ` (stored ${found.stored})`}`]
  if (found.isPadding) return [`padding (stored ${found.stored})`]
  const words = `${short(found.value)}${spaced(frame.unit)}`
  return [
    found.value === found.stored ? words : `${words} (stored ${found.stored})`,
    ...found.mapped.map(({ name, value, unit }) => `${name} ${short(value)}${spaced(unit)}`),
    ...(suv?.factor ? [`SUVbw ${(found.value * suv.factor).toFixed(3)} g/ml`] : []),
  ]
}

function valueLines(viewport, kind, points) {
  const { frame, image, suv } = viewport
  if (!viewport.hasPixels) return image?.isReduced ? ["no values: the image is shown smaller than it is"] : []
  if (image.components === 3) return colourLines(image, kind, points, (at) => [0, 1, 2].map((channel) => image.samples[at * 3 + channel]))
  // Indices have no mean; the colours that they stand for do.
  if (frame.isPalette) return colourLines(image, kind, points, (at) => colourAt(frame.palette, image.samples[at]))
  const found = new Statistics()
  const mapped = new Map()
  let left = 0
  eachWithin(image, kind, points, (at) => {
    const stored = image.samples[at]
    const value = frame.rescaled(stored)
    if (viewport.isPadding(stored) || !Number.isFinite(value)) { left += 1; return }
    found.add(value)
    for (const { name, value: real, unit } of frame.hasRealWorldValues ? realWorldValues(frame, stored) : []) {
      const key = `${name}\n${unit}`
      if (!mapped.has(key)) mapped.set(key, new Statistics())
      mapped.get(key).add(real)
    }
  })
  if (!found.count) return left ? ["only padding"] : []
  const lines = [`mean ${found.mean.toFixed(1)} SD ${found.deviation.toFixed(1)}`, `${short(found.least)} … ${short(found.most)}${spaced(frame.unit)}`]
  if (frame.modality === "RTDOSE" || (Math.abs(found.most) < 1 && Math.abs(found.least) < 1)) lines[0] = `mean ${short(found.mean)} SD ${short(found.deviation)}`
  for (const [key, { mean, deviation, count }] of mapped) {
    const [name, unit] = key.split("\n")
    lines.push(`${name} mean ${short(mean)} SD ${short(deviation)}${spaced(unit)}${count < found.count ? ` of ${count} pixels` : ""}`)
  }
  if (suv?.factor) lines.push(`SUVbw mean ${(found.mean * suv.factor).toFixed(2)} max ${(found.most * suv.factor).toFixed(2)}`)
  if (left) lines.push(`${left} pixels without a value left out`)
  return lines
}

function colourLines(image, kind, points, colour) {
  const channels = [new Statistics(), new Statistics(), new Statistics()]
  eachWithin(image, kind, points, (at) => colour(at).forEach((level, index) => channels[index].add(level)))
  if (!channels[0].count) return []
  return channels.map((channel, index) => `${["red", "green", "blue"][index]} mean ${channel.mean.toFixed(1)} SD ${channel.deviation.toFixed(1)} (${channel.least} … ${channel.most})`)
}

// Draws those of the frame that is shown; places go through the viewport's matrix, so they follow zoom and rotation.
export function drawMeasurements(viewport) {
  const { drawing, frame } = viewport
  drawing.replaceChildren()
  if (!frame || !viewport.image) return
  const { matrix, ratio } = viewport
  const place = ([x, y]) => { const point = matrix.transformPoint(new DOMPoint(x, y)); return [point.x / ratio, point.y / ratio] }
  const taken = []
  for (const measurement of viewport.measurements) {
    if (measurement.path !== frame.path || measurement.points.length < 1) continue
    drawOne(drawing, viewport, measurement, measurement.points.map(place), place, taken)
  }
  if (viewport.cursor) drawCursor(drawing, place(viewport.cursor))
}

// Appends an element to a drawing.
export function appendSvg(parent, name, attributes) {
  const element = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  parent.append(element)
  return element
}

function drawOne(drawing, viewport, measurement, places, place, taken) {
  const { kind, points } = measurement
  const figure = appendSvg(drawing, "g", { class: measurement === viewport.selected ? "measurement selected" : "measurement" })
  if (kind === "length" || kind === "angle") appendSvg(figure, "polyline", { points: places.map((one) => one.join(",")).join(" ") })
  else if (kind !== "probe" && points.length === 2) {
    const outline = kind === "rectangle" ? corners(points) : circle(points)
    appendSvg(figure, "polygon", { points: outline.map(place).map((one) => one.join(",")).join(" ") })
  }
  for (const [x, y] of places) appendSvg(figure, "circle", { cx: x, cy: y, r: 3 })
  if (points.length < POINTS[kind]) return
  const [x, y] = places.at(-1)
  const made = describe(viewport, measurement).map((line, index) => {
    const words = appendSvg(figure, "text", { x: x + 8, y: y + 4 + index * LINE })
    words.textContent = line
    return words
  })
  if (made.length) moveApart(made, [x, y], taken)
}

// Puts lines of words where no others are: at the right, else at the left, else farther down.
function moveApart(lines, [x, y], taken) {
  const width = Math.max(...lines.map((line) => line.getComputedTextLength()))
  const { width: wide, height: high } = lines[0].ownerSVGElement.getBoundingClientRect()
  const height = lines.length * LINE
  const isFree = ([left, top]) => left >= 0 && left + width <= wide && top >= 0 && top + height <= high
    && !taken.some((one) => left < one.right && left + width > one.left && top < one.bottom && top + height > one.top)
  const tries = Array.from({ length: 8 }, (_, step) => [0, step, -step]).flat().flatMap((step) => [[x + 8, y - 9 + step * LINE], [x - 8 - width, y - 9 + step * LINE]])
  const [left, top] = tries.find(isFree) ?? tries[0]
  lines.forEach((line, index) => {
    line.setAttribute("x", left)
    line.setAttribute("y", top + 13 + index * LINE)
  })
  taken.push({ left, top, right: left + width, bottom: top + height })
}

function drawCursor(drawing, [x, y]) {
  const figure = appendSvg(drawing, "g", { class: "cursor" })
  appendSvg(figure, "line", { x1: x - 12, x2: x + 12, y1: y, y2: y })
  appendSvg(figure, "line", { x1: x, x2: x, y1: y - 12, y2: y + 12 })
}

// The outlines of figures between two points.
export const corners = ([[x, y], [otherX, otherY]]) => [[x, y], [otherX, y], [otherX, otherY], [x, otherY]]
export const circle = ([[x, y], [otherX, otherY]]) => Array.from({ length: 64 }, (_, step) => {
  const angle = (step / 64) * 2 * Math.PI
  return [(x + otherX) / 2 + (Math.cos(angle) * (otherX - x)) / 2, (y + otherY) / 2 + (Math.sin(angle) * (otherY - y)) / 2]
})
