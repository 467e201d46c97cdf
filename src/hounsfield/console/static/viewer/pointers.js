// Mouse, pen, fingers and keys on an image: the tool that is chosen, panning, zooming, and the points of measurements.
import { POINTS } from "./measurements.js"

let drawing = null

// Mouse: left uses the tool, middle pans, right zooms. Touch: one finger uses the tool, two zoom and pan.
export function handlePointers(viewport, page) {
  const { canvas } = viewport
  const pointers = new Map()
  let leftOver = 0
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId)
    pointers.set(event.pointerId, event)
    // A second finger is no second point.
    if (pointers.size === 2 && drawing?.viewport === viewport) cancelPoint()
    if (pointers.size === 1 && event.button === 0 && POINTS[page.tool] && viewport.frame) setPoint(viewport, page.tool, viewport.imagePoint(event.clientX, event.clientY), event)
  })
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId)
    if (!viewport.frame) return
    if (!before) { if (drawing?.viewport === viewport) movePoint(viewport.imagePoint(event.clientX, event.clientY)); return }
    pointers.set(event.pointerId, event)
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY]
    if (pointers.size === 2) { page.zoomBy(pinch(viewport, [...pointers.values()], before, event)); return }
    const kind = event.buttons & 4 ? "pan" : event.buttons & 2 ? "zoom" : page.tool
    if (kind === "window") dragWindow(viewport, dx, dy)
    else if (kind === "pan") viewport.set({ panX: viewport.view.panX + dx * viewport.ratio, panY: viewport.view.panY + dy * viewport.ratio })
    else if (kind === "zoom") page.zoomBy(Math.exp(-dy / 200))
    else if (kind === "scroll") {
      leftOver += dy
      const steps = Math.trunc(leftOver / 8)
      if (steps) { leftOver -= steps * 8; page.scroll(steps, viewport) }
    } else if (drawing?.viewport === viewport) movePoint(viewport.imagePoint(event.clientX, event.clientY))
  })
  const release = (event) => {
    const before = pointers.get(event.pointerId)
    pointers.delete(event.pointerId)
    leftOver = 0
    if (before && drawing?.viewport === viewport) endPoint(event)
  }
  canvas.addEventListener("pointerup", release)
  canvas.addEventListener("pointercancel", release)
}

function dragWindow(viewport, dx, dy) {
  const { window: shown } = viewport
  if (!shown || viewport.isColour) return
  const speed = Math.max(shown.width / 256, Number.MIN_VALUE)
  // A table gives way to a window over the values that it maps.
  const curve = shown.table ? "LINEAR" : shown.curve
  const least = curve === "LINEAR" ? 1 : Number.MIN_VALUE
  const width = Math.min(Number.MAX_VALUE / 4, Math.max(least, shown.width + dx * speed))
  const center = Math.min(Number.MAX_VALUE / 4, Math.max(-Number.MAX_VALUE / 4, shown.center + dy * speed))
  viewport.set({ window: { curve, width, center, name: "" } })
}

// Moves the image along with two fingers, and gives by how much they went apart.
function pinch(viewport, [one, other], before, after) {
  const still = one.pointerId === after.pointerId ? other : one
  const distance = (pointer) => Math.hypot(pointer.clientX - still.clientX, pointer.clientY - still.clientY)
  const [dx, dy] = [(after.clientX - before.clientX) / 2, (after.clientY - before.clientY) / 2]
  viewport.set({ panX: viewport.view.panX + dx * viewport.ratio, panY: viewport.view.panY + dy * viewport.ratio })
  return distance(after) / Math.max(1, distance(before))
}

function setPoint(viewport, tool, point, start) {
  giveUpElsewhere()
  if (drawing?.viewport === viewport) { movePoint(point); drawing.start = start; return }
  const measurement = { kind: tool, path: viewport.frame.path, points: POINTS[tool] === 1 ? [point] : [point, point] }
  viewport.measurements.push(measurement)
  viewport.selected = measurement
  drawing = POINTS[tool] === 1 ? null : { viewport, measurement, start }
  changed(viewport)
}

// A place of one image is none of another: what was begun on an image that is no longer shown is given up.
function giveUpElsewhere() {
  if (drawing && drawing.measurement.path !== drawing.viewport.frame?.path) cancelPoint()
}

function movePoint(point) {
  giveUpElsewhere()
  if (!drawing) return
  const { viewport, measurement } = drawing
  measurement.points[measurement.points.length - 1] = point
  viewport.draw()
}

// A drag sets two points; two clicks do too.
function endPoint(event) {
  giveUpElsewhere()
  if (!drawing) return
  const { viewport, measurement, start } = drawing
  const wasDragged = Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > 4
  if (!wasDragged && !drawing.wasClicked) { drawing.wasClicked = true; return }
  nextPoint(viewport, measurement, viewport.imagePoint(event.clientX, event.clientY))
}

function nextPoint(viewport, measurement, point) {
  if (measurement.points.length < POINTS[measurement.kind]) {
    measurement.points.push(point)
    drawing.wasClicked = true
    return
  }
  drawing = null
  changed(viewport)
}

// Gives up what is being drawn.
export function cancelPoint() {
  if (!drawing) return false
  const { viewport, measurement } = drawing
  drawing = null
  remove(viewport, measurement)
  return true
}

function changed(viewport) {
  viewport.draw()
  viewport.element.dispatchEvent(new CustomEvent("viewer:measurements", { bubbles: true }))
}

export function select(viewport, measurement) {
  viewport.selected = measurement
  changed(viewport)
}

// Removes one measurement, or all of a viewport; of those that are left the last is selected.
export function remove(viewport, measurement = null) {
  viewport.measurements = measurement ? viewport.measurements.filter((one) => one !== measurement) : []
  if (drawing?.viewport === viewport && !viewport.measurements.includes(drawing.measurement)) drawing = null
  viewport.selected = viewport.measurements.findLast(({ path }) => path === viewport.frame?.path) ?? null
  changed(viewport)
}

const STEPS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }

// Measuring by keys: Enter shows a cross, arrows move it, Enter sets a point, Escape gives up. Gives whether it was for this.
export function handleKey(viewport, tool, event) {
  if (event.key === "Escape" && (viewport.cursor || drawing)) {
    viewport.cursor = null
    if (!cancelPoint()) viewport.draw()
    return true
  }
  if (!viewport.frame || !viewport.image || !POINTS[tool]) return false
  if (event.key === "Enter") {
    if (!viewport.cursor) viewport.cursor = [Math.floor(viewport.frame.columns / 2) + 0.5, Math.floor(viewport.frame.rows / 2) + 0.5]
    else if (drawing?.viewport === viewport && drawing.measurement.path === viewport.frame.path) nextPoint(viewport, drawing.measurement, viewport.cursor)
    else setPoint(viewport, tool, viewport.cursor, null)
    viewport.draw()
    return true
  }
  const step = STEPS[event.key]
  if (!viewport.cursor || !step) return false
  const far = event.shiftKey ? 10 : 1
  const [x, y] = viewport.cursor
  viewport.cursor = [Math.min(viewport.frame.columns, Math.max(0, x + step[0] * far)), Math.min(viewport.frame.rows, Math.max(0, y + step[1] * far))]
  if (drawing?.viewport === viewport) movePoint(viewport.cursor)
  viewport.draw()
  return true
}

// Turns the wheel over an element: with Control it zooms, else it scrolls. begin() is called before either.
export function handleWheel(element, { begin, zoomBy, scroll }) {
  let travelled = 0
  element.addEventListener("wheel", (event) => {
    event.preventDefault()
    begin()
    if (event.ctrlKey) { zoomBy(event.deltaY < 0 ? 1.1 : 1 / 1.1); return }
    const delta = event.deltaMode ? event.deltaY * 40 : event.deltaY
    // A notch of a wheel is one image, however many pixels a browser makes of it; a touchpad glides, forty of its pixels an image.
    if (Math.abs(delta) >= 50) { travelled = 0; scroll(Math.sign(delta) * Math.max(1, Math.round(Math.abs(delta) / 120))); return }
    travelled += delta
    const steps = Math.trunc(travelled / 40)
    if (steps) { travelled -= steps * 40; scroll(steps) }
  }, { passive: false })
}
