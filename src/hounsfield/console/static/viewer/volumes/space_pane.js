// The volume in three dimensions: turned by drag or keys, seen from a side of the patient, as MIP or as surfaces in light.
import { letters } from "../dicom.js"
import { element, write } from "./plane_pane.js"
import { RayCaster } from "./ray_caster.js"
import { cross, dot, minus, normalized, scaled } from "../vectors.js"
import { round } from "../viewport.js"

// What is right and up on the screen when one looks from a side of the patient.
const SIDES = {
  Front: { right: [1, 0, 0], up: [0, 0, 1] },
  Back: { right: [-1, 0, 0], up: [0, 0, 1] },
  Left: { right: [0, 1, 0], up: [0, 0, 1] },
  Right: { right: [0, -1, 0], up: [0, 0, 1] },
  Head: { right: [-1, 0, 0], up: [0, -1, 0] },
  Feet: { right: [1, 0, 0], up: [0, -1, 0] },
}
const WINDOWS = { CT: { surface: { center: 250, width: 400 }, mip: { center: 350, width: 1000 } } }
// Of the range of values, where they have no scale of their own: what is bright in PET is far brighter than the rest.
const SHARES = { MR: { surface: [0.3, 0.4], mip: [0.55, 0.9] }, PT: { surface: [0.2, 0.2], mip: [0.15, 0.3] } }
// While one turns it, as many pixels as are drawn in this time.
const QUICK_MS = 60

export class SpacePane {
  constructor(view) {
    this.view = view
    this.element = element("section", { class: "plane space", "data-plane": "space", tabindex: "0", "aria-label": "Three dimensions" })
    this.canvas = element("canvas")
    this.sides = Object.fromEntries(["top", "right", "bottom", "left"].map((side) => [side, element("div", { class: `side at-${side}`, "data-side": side })]))
    this.texts = { "top-left": element("div", { class: "text top-left" }), "bottom-left": element("div", { class: "text bottom-left" }) }
    this.message = element("p", { class: "waiting" })
    this.isEmpty = true
    this.picture = element("div", { class: "picture" })
    this.picture.append(this.canvas, ...Object.values(this.texts), ...Object.values(this.sides), this.message)
    this.element.append(this.#controls(), this.picture)
    this.share = 0.5
    this.reset()
    this.#handlePointers()
    new ResizeObserver(() => this.redraw()).observe(this.picture)
  }

  reset() {
    Object.assign(this, { ...SIDES.Front, zoom: 1, pan: [0, 0], window: null })
    this.redraw()
  }

  async take(voxels, signal) {
    this.caster ??= new RayCaster(this.canvas)
    await this.caster.take(voxels, signal)
    if (signal.aborted) return
    this.isEmpty = false
    this.message.textContent = ""
    this.#listWindow()
    this.element.dataset.ready = "yes"
    // While the whole volume is loading, the processor may have to draw this too.
    this.redraw(this.view.isLoading)
  }

  fail(error) {
    this.isEmpty = false
    this.message.className = "failure"
    this.message.textContent = error.message
  }

  get isShaded() { return this.mode.value === "surface" }

  get shownWindow() {
    if (this.window) return this.window
    const { voxels, volume } = this.view
    const known = WINDOWS[volume.frames[0].modality]?.[this.mode.value]
    const { low, high } = this.caster?.voxels ?? voxels
    if (known && low < known.center && high > known.center) return { ...known, curve: "LINEAR_EXACT" }
    const span = Math.max(high - low, 1e-6)
    const [center, width] = (SHARES[volume.frames[0].modality] ?? SHARES.MR)[this.mode.value]
    return { center: low + span * center, width: span * width, curve: "LINEAR_EXACT" }
  }

  #controls() {
    const bar = element("div", { class: "space-bar", role: "toolbar", "aria-label": "Three dimensions" })
    const label = element("label", {}, "Show")
    this.mode = element("select")
    this.mode.append(new Option("MIP", "mip"), new Option("Surfaces", "surface"))
    this.mode.addEventListener("change", () => { this.window = null; this.#listWindow(); this.redraw() })
    label.append(this.mode)
    const from = element("span", { class: "set", role: "group", "aria-label": "Seen from" })
    for (const [name, side] of Object.entries(SIDES)) {
      const button = element("button", { type: "button", class: "tool", "data-from": name.toLowerCase() }, name)
      button.addEventListener("click", () => { Object.assign(this, side); this.redraw() })
      from.append(button)
    }
    this.center = slider("Center", () => this.#takeWindow())
    this.width = slider("Width", () => this.#takeWindow())
    bar.append(label, from, this.center.label, this.width.label)
    return bar
  }

  #listWindow() {
    const { low, high } = this.caster?.voxels ?? {}
    if (low === undefined) return
    const { center, width } = this.shownWindow
    const step = (high - low) / 1000 || 1e-6
    for (const [{ input }, least, most, at] of [[this.center, low, high, center], [this.width, step, high - low, width]]) {
      Object.assign(input, { min: least, max: most, step: "any" })
      input.value = at
    }
  }

  #takeWindow() {
    this.window = { center: Number(this.center.input.value), width: Math.max(1e-6, Number(this.width.input.value)), curve: "LINEAR_EXACT" }
    this.redraw(true)
    this.#settle()
  }

  // Millimetres for a pixel of the screen: the volume fits in, seen from each side.
  get scale() {
    const { width, height } = this.picture.getBoundingClientRect()
    const [x, y, z] = this.caster.extent
    return Math.max(Math.max(x, y) / Math.max(1, width), Math.max(y, z) / Math.max(1, height)) / this.zoom
  }

  redraw(isQuick = false) {
    this.isQuick = isQuick
    this.frameAsked ??= requestAnimationFrame(() => {
      this.frameAsked = null
      this.draw()
    })
  }

  draw() {
    const { width, height } = this.picture.getBoundingClientRect()
    if (!this.caster?.texture || width < 2) return
    const ratio = this.isQuick ? this.share : Math.min(1.5, window.devicePixelRatio || 1)
    this.canvas.width = Math.max(1, Math.round(width * ratio))
    this.canvas.height = Math.max(1, Math.round(height * ratio))
    const scale = (this.scale * width) / this.canvas.width
    const { right, up } = this
    const centre = this.caster.middle.map((part, axis) => part - right[axis] * this.pan[0] * this.scale + up[axis] * this.pan[1] * this.scale)
    const begin = performance.now()
    this.caster.draw({ right, up, centre, scale, isShaded: this.isShaded, window: this.shownWindow, isInverted: this.view.isInverted })
    if (this.isQuick) {
      // Reading a pixel waits until it is drawn.
      this.caster.gl.readPixels(0, 0, 1, 1, this.caster.gl.RGBA, this.caster.gl.UNSIGNED_BYTE, new Uint8Array(4))
      const took = performance.now() - begin
      this.share = Math.min(1, Math.max(0.1, this.share * Math.sqrt(QUICK_MS / Math.max(1, took))))
    }
    const directions = { right, left: scaled(right, -1), top: up, bottom: scaled(up, -1) }
    for (const [side, direction] of Object.entries(directions)) this.sides[side].textContent = letters(direction)
    const { center, width: wide } = this.shownWindow
    write(this.texts["top-left"], [this.isShaded ? "Surfaces" : "MIP", ...(this.view.hasTexts && this.view.isNamed(this) ? this.view.patientTexts : [])])
    write(this.texts["bottom-left"], [`W ${round(wide)} C ${round(center)}`])
  }

  // Draws it whole once nothing has moved for a while.
  #settle() {
    clearTimeout(this.settling)
    this.settling = setTimeout(() => this.redraw(), 200)
  }

  turn(dx, dy) {
    const angle = (pixels) => (pixels * Math.PI) / 360
    const eye = cross(this.right, this.up)
    const right = turned(this.right, eye, angle(dx))
    const newEye = cross(right, this.up)
    this.up = normalized(turned(this.up, newEye, -angle(dy)))
    this.right = normalized(minus(right, scaled(this.up, dot(right, this.up))))
    this.redraw(true)
    this.#settle()
  }

  zoomBy(factor) {
    this.zoom = Math.min(32, Math.max(0.2, this.zoom * factor))
    this.redraw(true)
    this.#settle()
  }

  handleKey({ key }) {
    const way = { ArrowLeft: [-20, 0], ArrowRight: [20, 0], ArrowUp: [0, -20], ArrowDown: [0, 20] }[key]
    if (way) this.turn(...way)
    return Boolean(way)
  }

  #handlePointers() {
    const { canvas, element: pane, view } = this
    let before = null
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); pane.focus({ preventScroll: true }); before = event })
    canvas.addEventListener("pointermove", (event) => {
      if (!before || before.pointerId !== event.pointerId) return
      const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY]
      before = event
      if (event.buttons & 2) this.zoomBy(Math.exp(-dy / 200))
      else if (event.buttons & 4) { this.pan = [this.pan[0] + dx, this.pan[1] + dy]; this.redraw(true); this.#settle() }
      else this.turn(dx, dy)
    })
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => { before = null })
    canvas.addEventListener("contextmenu", (event) => event.preventDefault())
    pane.addEventListener("focusin", () => view.activate(this))
    pane.addEventListener("wheel", (event) => { event.preventDefault(); this.zoomBy(event.deltaY < 0 ? 1.1 : 1 / 1.1) }, { passive: false })
  }

  close() {
    clearTimeout(this.settling)
    cancelAnimationFrame(this.frameAsked)
    this.caster?.close()
    this.caster = null
  }
}

// A direction turned towards another one that is at a right angle to it.
const turned = (direction, other, angle) => direction.map((part, axis) => part * Math.cos(angle) + other[axis] * Math.sin(angle))

function slider(words, onInput) {
  const label = element("label", {}, words)
  const input = element("input", { type: "range" })
  input.addEventListener("input", onInput)
  label.append(input)
  return { label, input }
}
