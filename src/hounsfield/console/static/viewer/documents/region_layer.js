// Regions of a document over the images that they are of: in an image (SCOORD, PS3.3 section C.18.6), or in the patient
// (SCOORD3D, section C.18.9).
import { frameOfReference, placeIn, planeOf, stepOf } from "../overlays/planes.js"

const CORNERS = 72

// Coordinates are columns and rows, the first pixel begins at 0: those that layers draw in.
export class RegionLayer {
  constructor({ sop, frames }, shape, points) {
    this.sop = sop
    this.frames = frames
    this.path = pathOf(shape, points)
  }

  draw({ context, frame, scale, ratio }) {
    if (!this.path || frame.sop !== this.sop || (this.frames.length && !this.frames.includes(frame.index + 1))) return
    stroke(this.path, context, ratio / scale.x)
  }
}

// Is drawn on every image that its points lie in, to half the distance of images.
export class SpatialRegionLayer {
  constructor(reference, shape, points) {
    this.reference = reference
    this.shape = shape === "ELLIPSE" ? "POLYGON" : shape
    this.points = shape === "ELLIPSE" && points.length === 4 ? ellipse(points) : points
  }

  draw({ context, frame, stack, scale, ratio }) {
    const plane = planeOf(frame)
    if (!plane || frameOfReference(frame) !== this.reference) return
    const most = Math.max(stepOf(stack.frames) / 2, 0.01) + 1e-3
    const places = this.points.map((point) => placeIn(plane, point))
    const isLoose = this.shape === "POINT" || this.shape === "MULTIPOINT"
    const shown = places.filter(([, , distance]) => Math.abs(distance) <= most)
    if (!shown.length || (!isLoose && shown.length < places.length)) return
    const path = pathOf(this.shape, shown)
    if (path) stroke(path, context, ratio / scale.x)
  }
}

// The frame that the first point of a region is nearest to; null where none lies in its frame of reference.
export function nearestFrame(frames, reference, [point]) {
  const distance = (frame) => Math.abs(placeIn(planeOf(frame), point)[2])
  return frames.filter((frame) => planeOf(frame) && frameOfReference(frame) === reference)
    .reduce((best, frame) => (best && distance(best) <= distance(frame) ? best : frame), null)
}

export const canDraw = (shape) => shape !== "ELLIPSOID"

// The corners of an ellipse by the ends of its axes.
function ellipse([one, other, third, fourth]) {
  const centre = one.map((part, axis) => (part + other[axis]) / 2)
  return Array.from({ length: CORNERS }, (_, index) => {
    const angle = (2 * Math.PI * index) / CORNERS
    return centre.map((part, axis) => part + (Math.cos(angle) * (other[axis] - one[axis]) + Math.sin(angle) * (fourth[axis] - third[axis])) / 2)
  })
}

function stroke(path, context, pixel) {
  context.lineCap = "round"
  for (const [colour, width] of [["#000", 4], ["#ffd75e", 2]]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: width * pixel })
    context.stroke(path)
  }
}

function pathOf(shape, points) {
  const path = new Path2D()
  if (shape === "POINT" || shape === "MULTIPOINT") {
    for (const [x, y] of points) for (const [dx, dy] of [[4, 0], [0, 4]]) { path.moveTo(x - dx, y - dy); path.lineTo(x + dx, y + dy) }
  } else if (shape === "POLYLINE" || shape === "POLYGON") {
    points.forEach(([x, y], index) => (index ? path.lineTo(x, y) : path.moveTo(x, y)))
    if (shape === "POLYGON") path.closePath()
  } else if (shape === "CIRCLE" && points.length === 2) {
    const [[x, y], [edgeX, edgeY]] = points
    path.arc(x, y, Math.hypot(edgeX - x, edgeY - y), 0, 2 * Math.PI)
  } else if (shape === "ELLIPSE" && points.length === 4) {
    const [[ax, ay], [bx, by], [cx, cy], [dx, dy]] = points
    const half = (x, y) => Math.hypot(x, y) / 2
    path.ellipse((ax + bx) / 2, (ay + by) / 2, half(bx - ax, by - ay), half(dx - cx, dy - cy), Math.atan2(by - ay, bx - ax), 0, 2 * Math.PI)
  } else return null
  return path
}
