// One plane through a volume on a canvas, with crosshair, letters of the patient's sides, and lengths.
import { letters } from "../dicom.js"
import { SVG, appendSvg, rounded } from "../measurements.js"
import { handleWheel } from "../pointers.js"
import { paint, reslice } from "./reslice.js"
import { add, dot, length, minus, scaled } from "../vectors.js"
import { obliquity, placeText } from "./geometry.js"

const GAP = 14
const REACH = 12

export class PlanePane {
  constructor(view, name) {
    this.view = view
    this.name = name
    this.element = element("section", { class: "plane", "data-plane": name.toLowerCase(), tabindex: "0" })
    this.canvas = element("canvas")
    this.context = this.canvas.getContext("2d", { alpha: false })
    this.drawing = document.createElementNS(SVG, "svg")
    this.drawing.setAttribute("aria-hidden", "true")
    this.texts = Object.fromEntries(["top-left", "top-right", "bottom-left", "bottom-right"].map((place) => [place, element("div", { class: `text ${place}` })]))
    this.sides = Object.fromEntries(["top", "right", "bottom", "left"].map((side) => [side, element("div", { class: `side at-${side}`, "data-side": side })]))
    this.message = element("p", { class: "waiting" })
    this.isEmpty = true
    this.element.append(this.canvas, this.drawing, this.message, ...Object.values(this.texts), ...Object.values(this.sides))
    this.lengths = []
    this.pan = [0, 0]
    this.ratio = 1
    this.#handlePointers()
    new ResizeObserver(() => { this.resize(); view.fit() }).observe(this.element)
  }

  resize() {
    const { width, height } = this.element.getBoundingClientRect()
    this.ratio = window.devicePixelRatio || 1
    this.canvas.width = Math.max(1, Math.round(width * this.ratio))
    this.canvas.height = Math.max(1, Math.round(height * this.ratio))
  }

  // Where the pixels of the canvas lie in the patient: the middle of the first one, and the ways to the next one and the next row, in mm.
  get geometry() {
    const { view: { cursor, middle, scale }, axes: { right, down, normal }, canvas: { width, height } } = this
    const centre = add(middle, scaled(normal, dot(minus(cursor, middle), normal)))
    const across = scaled(right, scale)
    const below = scaled(down, scale)
    const origin = add(centre, add(scaled(across, -(width - 1) / 2 - this.pan[0] / scale), scaled(below, -(height - 1) / 2 - this.pan[1] / scale)))
    return { origin, right: across, down: below, width, height }
  }

  // Pixels of the canvas, in CSS pixels, of a place in the patient, and back.
  toScreen(point) {
    const { origin } = this.geometry
    const way = minus(point, origin)
    return [this.axes.right, this.axes.down].map((axis) => (dot(way, axis) / this.view.scale + 0.5) / this.ratio)
  }
  toPatient(clientX, clientY) {
    const { left, top } = this.canvas.getBoundingClientRect()
    const { origin, right, down } = this.geometry
    return add(origin, add(scaled(right, (clientX - left) * this.ratio - 0.5), scaled(down, (clientY - top) * this.ratio - 0.5)))
  }

  draw() {
    const { view, canvas, context } = this
    if (!view.voxels || canvas.width <= 1) return
    this.values = reslice(view.voxels, { ...this.geometry, slab: view.slabOf(this.axes.normal) })
    const picture = context.createImageData(canvas.width, canvas.height)
    paint(this.values, view.voxels, view.window, view.isInverted, view.isLoading, new Uint32Array(picture.data.buffer))
    context.putImageData(picture, 0, 0)
    // Black for want of images is no picture.
    this.isEmpty = view.isLoading && this.values.every(Number.isNaN)
    this.message.textContent = this.isEmpty ? view.status.textContent : ""
    this.drawLines()
  }

  drawLines() {
    const { view, drawing, axes, ratio, canvas } = this
    drawing.replaceChildren()
    const add = (name, attributes) => appendSvg(drawing, name, attributes)
    const [x, y] = this.toScreen(view.cursor)
    const [width, height] = [canvas.width / ratio, canvas.height / ratio]
    for (const pane of view.planes) {
      if (pane === this) continue
      const isUpright = Math.abs(dot(pane.axes.normal, axes.right)) > 0.5
      const cut = `cut ${pane.name.toLowerCase()}`
      for (const [from, to] of isUpright ? [[0, y - GAP], [y + GAP, height]] : [[0, x - GAP], [x + GAP, width]]) {
        if (to > from) add("line", isUpright ? { class: cut, x1: x, x2: x, y1: from, y2: to } : { class: cut, y1: y, y2: y, x1: from, x2: to })
      }
    }
    const here = dot(view.cursor, axes.normal)
    for (const { points, place } of this.lengths) {
      if (Math.abs(place - here) > view.stepAlong(axes.normal) / 2) continue
      const ends = points.map((point) => this.toScreen(point))
      add("polyline", { points: ends.map((one) => one.join(",")).join(" ") })
      for (const [cx, cy] of ends) add("circle", { cx, cy, r: 3 })
      add("text", { x: ends[1][0] + 8, y: ends[1][1] + 4 }).textContent = `${rounded(length(minus(...points)))} mm`
    }
    this.#write()
  }

  #write() {
    const { view, axes } = this
    const angle = obliquity(axes)
    const title = `${this.name}${angle > 0.5 ? `, oblique ${angle.toFixed(0)}°` : ""}`
    this.element.setAttribute("aria-label", title)
    const { number, count } = view.numberOf(axes.normal)
    const isNamed = view.hasTexts && view.isNamed(this)
    write(this.texts["top-left"], [title, ...(isNamed ? view.patientTexts : [])])
    write(this.texts["top-right"], isNamed ? view.studyTexts : [])
    write(this.texts["bottom-left"], [number ? `${number} of ${count}` : "", `${along(axes.normal, view.cursor)}`, view.slabText])
    write(this.texts["bottom-right"], [view.windowText])
    for (const [side, direction] of Object.entries({ right: axes.right, left: scaled(axes.right, -1), bottom: axes.down, top: scaled(axes.down, -1) })) this.sides[side].textContent = letters(direction)
  }

  #handlePointers() {
    const { canvas, view } = this
    const pointers = new Map()
    let drag = null
    let leftOver = 0
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId)
      this.element.focus({ preventScroll: true })
      pointers.set(event.pointerId, event)
      if (pointers.size > 1) { drag = null; return }
      const [x, y] = this.toScreen(view.cursor)
      const { left, top } = canvas.getBoundingClientRect()
      const isNear = Math.hypot(event.clientX - left - x, event.clientY - top - y) <= REACH
      const tool = event.button === 1 ? "pan" : event.button === 2 ? "zoom" : isNear || view.page.tool === "probe" ? "crosshair" : view.page.tool
      drag = { tool, start: event, hasMoved: false }
      if (tool === "crosshair" && !isNear) view.moveTo(this.toPatient(event.clientX, event.clientY))
      if (tool === "length") {
        const point = this.toPatient(event.clientX, event.clientY)
        drag.line = { points: [point, point], place: dot(view.cursor, this.axes.normal) }
      }
    })
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId)
      if (!before) return
      pointers.set(event.pointerId, event)
      const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY]
      if (pointers.size === 2) { this.#pinch([...pointers.values()], before, event, dx / 2, dy / 2); return }
      if (!drag) return
      if (!drag.hasMoved && Math.hypot(event.clientX - drag.start.clientX, event.clientY - drag.start.clientY) <= 4) return
      drag.hasMoved = true
      if (drag.tool === "crosshair") view.moveTo(this.toPatient(event.clientX, event.clientY))
      else if (drag.tool === "window") view.dragWindow(dx, dy)
      else if (drag.tool === "pan") this.panBy(dx, dy)
      else if (drag.tool === "zoom") view.zoomBy(Math.exp(-dy / 200))
      else if (drag.tool === "scroll") {
        leftOver += dy
        const steps = Math.trunc(leftOver / 8)
        if (steps) { leftOver -= steps * 8; view.scroll(steps, this) }
      } else if (drag.line) {
        if (!this.lengths.includes(drag.line)) this.lengths.push(drag.line)
        drag.line.points[1] = this.toPatient(event.clientX, event.clientY)
        this.drawLines()
      } else view.page.say("That tool is for images only.")
    })
    const release = (event) => {
      pointers.delete(event.pointerId)
      leftOver = 0
      if (drag && !drag.hasMoved && event.type === "pointerup" && drag.start.button === 0 && drag.tool !== "crosshair") view.moveTo(this.toPatient(event.clientX, event.clientY))
      drag = null
    }
    canvas.addEventListener("pointerup", release)
    canvas.addEventListener("pointercancel", release)
    canvas.addEventListener("contextmenu", (event) => event.preventDefault())
    this.element.addEventListener("focusin", () => view.activate(this))
    handleWheel(this.element, { begin: () => view.activate(this), zoomBy: (factor) => view.zoomBy(factor), scroll: (steps) => view.scroll(steps, this) })
  }

  panBy(dx, dy) {
    const { scale } = this.view
    this.pan = [this.pan[0] + dx * this.ratio * scale, this.pan[1] + dy * this.ratio * scale]
    this.view.redraw([this])
  }

  #pinch([one, other], before, after, dx, dy) {
    const still = one.pointerId === after.pointerId ? other : one
    const distance = (pointer) => Math.hypot(pointer.clientX - still.clientX, pointer.clientY - still.clientY)
    this.panBy(dx, dy)
    this.view.zoomBy(distance(after) / Math.max(1, distance(before)))
  }
}

// Where a plane lies on its axis of the patient.
const along = (normal, cursor) => placeText(cursor).split("  ")[normal.map(Math.abs).indexOf(Math.max(...normal.map(Math.abs)))].replace(/ mm$/, "") + " mm"

export function element(name, attributes = {}, words = "") {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  if (words) made.textContent = words
  return made
}

export function write(box, lines) {
  box.replaceChildren(...lines.filter(Boolean).map((line) => element("div", {}, line)))
}
