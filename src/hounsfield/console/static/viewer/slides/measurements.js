// Lengths, angles and areas on a slide, in micrometres and millimetres, and marks where tiles are missing.
import { POINTS, angleOf, appendSvg, circle, corners } from "../measurements.js"

export class SlideMeasurements {
  constructor(view) {
    this.view = view
    this.all = []
    this.drawn = null
    this.lost = []
  }

  get tool() { const { tool } = this.view.page; return POINTS[tool] ? tool : null }

  listen(viewer) {
    const pointOf = ({ position }) => this.view.toMatrix(position.x, position.y)
    viewer.addHandler("canvas-press", (event) => { if (this.tool && event.originalEvent.isPrimary !== false) this.#press(pointOf(event)) })
    viewer.addHandler("canvas-drag", (event) => {
      if (!this.tool) return
      event.preventDefaultAction = true
      this.#move(pointOf(event))
    })
    viewer.addHandler("canvas-release", (event) => { if (this.drawn) this.#release(pointOf(event)) })
    viewer.addHandler("canvas-double-click", (event) => { if (this.tool) event.preventDefaultAction = true })
    viewer.addHandler("canvas-drag-end", (event) => { if (this.tool) event.preventDefaultAction = true })
    this.view.canvasBox.addEventListener("pointermove", (event) => {
      if (!this.drawn || event.buttons) return
      const { left, top } = this.view.canvasBox.getBoundingClientRect()
      this.#move(this.view.toMatrix(event.clientX - left, event.clientY - top))
    })
  }

  // A drag sets two points; two clicks do too.
  #press(point) {
    const { tool } = this
    if (this.drawn) { this.drawn.start = point; this.#move(point); return }
    const count = POINTS[tool]
    const measurement = { kind: tool, points: count === 1 ? [point] : [point, point] }
    this.all.push(measurement)
    if (count > 1) this.drawn = { measurement, start: point, wasClicked: false }
    this.draw()
  }

  #move(point) {
    if (!this.drawn) return
    this.drawn.measurement.points[this.drawn.measurement.points.length - 1] = point
    this.draw()
  }

  #release(point) {
    const { measurement, start, wasClicked } = this.drawn
    const [from, to] = [this.view.toScreen(start), this.view.toScreen(point)]
    const wasDragged = Math.hypot(from[0] - to[0], from[1] - to[1]) > 4
    this.#move(point)
    if (!wasDragged && !wasClicked) { this.drawn.wasClicked = true; return }
    if (measurement.points.length < POINTS[measurement.kind]) {
      measurement.points.push(point)
      this.drawn.wasClicked = true
      return
    }
    this.drawn = null
    this.draw()
  }

  clear() {
    this.all = []
    this.drawn = null
    this.draw()
  }

  removeLast() {
    this.all.pop()
    this.drawn = null
    this.draw()
  }

  // Rectangles of tiles that did not come.
  markLost(tiles) {
    this.lost = tiles
    this.draw()
  }

  describe({ kind, points }) {
    const { slide } = this.view
    const { spacing, isCalibrated } = slide.base
    const [dx, dy] = isCalibrated ? [spacing[1], spacing[0]] : [1, 1]
    const [one, other] = points
    if (kind === "length") return [lengthWords(Math.hypot((one[0] - other[0]) * dx, (one[1] - other[1]) * dy), isCalibrated)]
    if (kind === "angle") return [`${angleOf({ x: dx, y: dy }, points).toFixed(1)}°`]
    if (kind === "probe") {
      const found = slide.slidePoint(one)
      return [found ? `x ${found[0].toFixed(4)} mm, y ${found[1].toFixed(4)} mm` : `column ${Math.floor(one[0]) + 1}, row ${Math.floor(one[1]) + 1}`]
    }
    const area = Math.abs(one[0] - other[0]) * dx * Math.abs(one[1] - other[1]) * dy * (kind === "ellipse" ? Math.PI / 4 : 1)
    return [areaWords(area, isCalibrated)]
  }

  // Figures as places of the screen: lines, dots, words.
  #figures() {
    const { view } = this
    return this.all.map((measurement) => {
      const { kind, points } = measurement
      const isOpen = kind === "length" || kind === "angle" || kind === "probe"
      const outline = isOpen ? points : kind === "rectangle" ? corners(points) : circle(points)
      const isWhole = points.length >= POINTS[kind]
      return { isOpen, line: outline.map((point) => view.toScreen(point)), dots: points.map((point) => view.toScreen(point)), words: isWhole ? this.describe(measurement) : [] }
    })
  }

  draw() {
    const { view } = this
    const { drawing } = view
    if (view.isOver) return
    drawing.replaceChildren()
    const add = (name, attributes) => appendSvg(drawing, name, attributes)
    const { viewport } = view.viewer
    for (const { bounds } of this.lost) {
      const corner = (x, y) => { const point = viewport.pixelFromPoint(new view.library.Point(x, y), true); return `${point.x},${point.y}` }
      const [right, bottom] = [bounds.x + bounds.width, bounds.y + bounds.height]
      add("polygon", { class: "lost", points: [corner(bounds.x, bounds.y), corner(right, bounds.y), corner(right, bottom), corner(bounds.x, bottom)].join(" ") })
      add("path", { class: "lost", d: `M${corner(bounds.x, bounds.y)}L${corner(right, bottom)}M${corner(right, bounds.y)}L${corner(bounds.x, bottom)}` })
    }
    for (const { isOpen, line, dots, words } of this.#figures()) {
      const points = line.map((place) => place.join(",")).join(" ")
      add(isOpen ? "polyline" : "polygon", { points })
      for (const [x, y] of dots) add("circle", { cx: x, cy: y, r: 3 })
      const [x, y] = dots.at(-1)
      words.forEach((text, index) => { add("text", { x: x + 8, y: y + 4 + index * 16 }).textContent = text })
    }
  }

  // The same on a canvas, for a picture.
  paint(context) {
    Object.assign(context, { strokeStyle: "#ffd75e", lineWidth: 1.5, font: "13px system-ui, sans-serif" })
    for (const { isOpen, line, dots, words } of this.#figures()) {
      context.beginPath()
      line.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)))
      if (!isOpen) context.closePath()
      context.stroke()
      const [x, y] = dots.at(-1)
      words.forEach((text, index) => {
        context.fillStyle = "#000a"
        context.fillRect(x + 6, y - 10 + index * 16, context.measureText(text).width + 4, 17)
        context.fillStyle = "#ffd75e"
        context.fillText(text, x + 8, y + 4 + index * 16)
      })
    }
  }
}

export function lengthWords(length, isCalibrated) {
  if (!isCalibrated) return `${length.toFixed(1)} px`
  return length >= 1 ? `${length.toFixed(3)} mm` : `${(length * 1000).toFixed(1)} µm`
}

function areaWords(area, isCalibrated) {
  if (!isCalibrated) return `${area.toFixed(0)} px²`
  return area >= 0.1 ? `${area.toFixed(3)} mm²` : `${(area * 1e6).toFixed(0)} µm²`
}
