// Mouse, pen and fingers on an image: the tool that is chosen, panning, zooming, and the points of measurements.
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
    if (pointers.size === 1 && event.button === 0 && POINTS[page.tool] && viewport.frame) setPoint(viewport, page.tool, event)
  })
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId)
    if (!viewport.frame) return
    if (!before) { if (drawing?.viewport === viewport) movePoint(event); return }
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
    } else if (drawing?.viewport === viewport) movePoint(event)
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
  const speed = Math.max(0.001, shown.width / 256)
  const least = shown.curve === "LINEAR" ? 1 : Number.EPSILON
  viewport.set({ window: { curve: shown.curve, width: Math.max(least, shown.width + dx * speed), center: shown.center + dy * speed, name: "" } })
}

// Moves the image along with two fingers, and gives by how much they went apart.
function pinch(viewport, [one, other], before, after) {
  const still = one.pointerId === after.pointerId ? other : one
  const distance = (pointer) => Math.hypot(pointer.clientX - still.clientX, pointer.clientY - still.clientY)
  const [dx, dy] = [(after.clientX - before.clientX) / 2, (after.clientY - before.clientY) / 2]
  viewport.set({ panX: viewport.view.panX + dx * viewport.ratio, panY: viewport.view.panY + dy * viewport.ratio })
  return distance(after) / Math.max(1, distance(before))
}

function setPoint(viewport, tool, event) {
  const point = viewport.imagePoint(event.clientX, event.clientY)
  if (drawing?.viewport === viewport) { movePoint(event); drawing.start = event; return }
  const measurement = { kind: tool, path: viewport.frame.path, points: POINTS[tool] === 1 ? [point] : [point, point] }
  viewport.measurements.push(measurement)
  drawing = POINTS[tool] === 1 ? null : { viewport, measurement, start: event }
  viewport.draw()
}

function movePoint(event) {
  const { viewport, measurement } = drawing
  measurement.points[measurement.points.length - 1] = viewport.imagePoint(event.clientX, event.clientY)
  viewport.draw()
}

// A drag sets two points; two clicks do too.
function endPoint(event) {
  const { viewport, measurement, start } = drawing
  const wasDragged = Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > 4
  if (!wasDragged && !drawing.wasClicked) { drawing.wasClicked = true; return }
  if (measurement.points.length < POINTS[measurement.kind]) {
    measurement.points.push(viewport.imagePoint(event.clientX, event.clientY))
    drawing.wasClicked = true
    return
  }
  drawing = null
  viewport.draw()
}
