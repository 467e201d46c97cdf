// Length, angle, ellipse and rectangle on an image, in millimetres where the file says how large a pixel is.

const SVG = "http://www.w3.org/2000/svg"

// How many points are needed before a measurement is complete.
export const POINTS = { length: 2, angle: 3, ellipse: 2, rectangle: 2, probe: 1 }

export function spacingOf(frame) {
  return frame.spacing ? { x: frame.spacing[1], y: frame.spacing[0], unit: "mm" } : { x: 1, y: 1, unit: "px" }
}

// Distance of two points of an image, in the unit of its spacing.
export function lengthOf(frame, [one, other]) {
  const { x, y } = spacingOf(frame)
  return Math.hypot((one[0] - other[0]) * x, (one[1] - other[1]) * y)
}

// Angle at the second point, in degrees.
export function angleOf(frame, [one, corner, other]) {
  const { x, y } = spacingOf(frame)
  const [ax, ay] = [(one[0] - corner[0]) * x, (one[1] - corner[1]) * y]
  const [bx, by] = [(other[0] - corner[0]) * x, (other[1] - corner[1]) * y]
  return (Math.abs(Math.atan2(ax * by - ay * bx, ax * bx + ay * by)) * 180) / Math.PI
}

// Mean, standard deviation, smallest and largest value of the pixels whose centres lie within, and the area of the figure.
export function statisticsOf(frame, image, kind, [one, other]) {
  const [left, right] = [Math.min(one[0], other[0]), Math.max(one[0], other[0])]
  const [top, bottom] = [Math.min(one[1], other[1]), Math.max(one[1], other[1])]
  const [centerX, centerY, radiusX, radiusY] = [(left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2]
  const { x, y, unit } = spacingOf(frame)
  const area = (right - left) * x * (bottom - top) * y * (kind === "ellipse" ? Math.PI / 4 : 1)
  let [count, sum, squares, least, most] = [0, 0, 0, Infinity, -Infinity]
  for (let row = Math.max(0, Math.ceil(top - 0.5)); row + 0.5 <= bottom && row < image.height; row += 1) {
    for (let column = Math.max(0, Math.ceil(left - 0.5)); column + 0.5 <= right && column < image.width; column += 1) {
      if (kind === "ellipse" && ((column + 0.5 - centerX) / radiusX) ** 2 + ((row + 0.5 - centerY) / radiusY) ** 2 > 1) continue
      const value = image.samples[row * image.width + column] * frame.slope + frame.intercept
      count += 1
      sum += value
      squares += value * value
      least = Math.min(least, value)
      most = Math.max(most, value)
    }
  }
  const mean = sum / count
  return { area, unit, count, mean, deviation: Math.sqrt(Math.max(0, squares / count - mean * mean)), least, most }
}

export function describe(viewport, { kind, points }) {
  const { frame, image } = viewport
  const { unit } = spacingOf(frame)
  if (kind === "length") return [`${lengthOf(frame, points).toFixed(1)} ${unit}`]
  if (kind === "angle") return [`${angleOf(frame, points).toFixed(1)}°`]
  if (kind === "probe") {
    const found = viewport.probe(points[0])
    if (!found) return []
    if (found.colour) return [`RGB ${found.colour.join(", ")}`]
    const words = `${Number(found.value.toPrecision(6))}${frame.unit ? ` ${frame.unit}` : ""}`
    return [found.value === found.stored ? words : `${words} (stored ${found.stored})`]
  }
  if (!image?.isWhole || image.components !== 1) return []
  const { area, count, mean, deviation, least, most } = statisticsOf(frame, image, kind, points)
  const lines = [`${area.toFixed(area < 100 ? 1 : 0)} ${unit}²`]
  if (count) lines.push(`mean ${mean.toFixed(1)} SD ${deviation.toFixed(1)}`, `${Number(least.toPrecision(6))} … ${Number(most.toPrecision(6))}${frame.unit ? ` ${frame.unit}` : ""}`)
  return lines
}

// Draws those of the frame that is shown; places go through the viewport's matrix, so they follow zoom and rotation.
export function drawMeasurements(viewport) {
  const { drawing, frame } = viewport
  drawing.replaceChildren()
  if (!frame || !viewport.image) return
  const { matrix, ratio } = viewport
  const place = ([x, y]) => { const point = matrix.transformPoint(new DOMPoint(x, y)); return [point.x / ratio, point.y / ratio] }
  for (const measurement of viewport.measurements) {
    if (measurement.path !== frame.path || measurement.points.length < 1) continue
    drawOne(drawing, viewport, measurement, measurement.points.map(place), place)
  }
}

function drawOne(drawing, viewport, measurement, places, place) {
  const { kind, points } = measurement
  const add = (name, attributes) => {
    const element = document.createElementNS(SVG, name)
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
    drawing.append(element)
    return element
  }
  if (kind === "length" || kind === "angle") add("polyline", { points: places.map((one) => one.join(",")).join(" ") })
  else if (kind !== "probe" && points.length === 2) {
    const outline = kind === "rectangle" ? corners(points) : circle(points)
    add("polygon", { points: outline.map(place).map((one) => one.join(",")).join(" ") })
  }
  for (const [x, y] of places) add("circle", { cx: x, cy: y, r: 3 })
  if (points.length < POINTS[kind]) return
  const [x, y] = places.at(-1)
  describe(viewport, measurement).forEach((line, index) => { add("text", { x: x + 8, y: y + 4 + index * 16 }).textContent = line })
}

const corners = ([[x, y], [otherX, otherY]]) => [[x, y], [otherX, y], [otherX, otherY], [x, otherY]]
const circle = ([[x, y], [otherX, otherY]]) => Array.from({ length: 64 }, (_, step) => {
  const angle = (step / 64) * 2 * Math.PI
  return [(x + otherX) / 2 + (Math.cos(angle) * (otherX - x)) / 2, (y + otherY) / 2 + (Math.sin(angle) * (otherY - y)) / 2]
})
