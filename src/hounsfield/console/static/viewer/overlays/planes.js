// Planes in the patient (PS3.3 C.7.6.2.1.1): where a frame lies, where a point falls in it, how one frame lies on another.
//
// Places in a frame are those of its drawing: its first pixel reaches from 0 to 1, and has its centre at 0.5.
import { group, normalOf, number, text } from "../dicom.js"
import { dot } from "../vectors.js"

const known = new WeakMap()

// The plane of a frame, or null where the file does not say where it lies.
export function planeOf(frame) {
  if (!known.has(frame)) known.set(frame, readPlane(frame))
  return known.get(frame)
}

function readPlane(frame) {
  const { position, orientation, spacing, spacingSource } = frame
  if (!position || !orientation || spacingSource !== "PixelSpacing") return null
  const normal = normalOf(orientation)
  if (Math.abs(dot(normal, normal) - 1) > 0.01) return null
  return { position, right: orientation.slice(0, 3), down: orientation.slice(3), normal, spacing }
}

// Column, row and distance in millimetres of a point of the patient.
export function placeIn(plane, point) {
  const way = [0, 1, 2].map((axis) => point[axis] - plane.position[axis])
  return [dot(way, plane.right) / plane.spacing[1] + 0.5, dot(way, plane.down) / plane.spacing[0] + 0.5, dot(way, plane.normal)]
}

// The point of the patient at a column and row.
export function pointOf(plane, column, row) {
  const [right, down] = [(column - 0.5) * plane.spacing[1], (row - 0.5) * plane.spacing[0]]
  return [0, 1, 2].map((axis) => plane.position[axis] + right * plane.right[axis] + down * plane.down[axis])
}

// Within a twelfth of a degree, whichever way the normals point.
export const areParallel = (one, other) => Math.abs(dot(one.normal, other.normal)) > 1 - 1e-6

const IDENTITY = [1, 0, 0, 1, 0, 0]

// How places in one frame become places in a parallel one, as canvases have it: [a, b, c, d, e, f].
export function matrixBetween(from, to, { rows, columns }) {
  const start = placeIn(to, pointOf(from, 0, 0))
  const right = placeIn(to, pointOf(from, 1, 0))
  const down = placeIn(to, pointOf(from, 0, 1))
  const matrix = [right[0] - start[0], right[1] - start[1], down[0] - start[0], down[1] - start[1], start[0], start[1]]
  const extent = Math.max(rows, columns)
  const isSame = matrix.every((part, index) => Math.abs(part - IDENTITY[index]) * (index < 4 ? extent : 1) < 0.01)
  return isSame ? IDENTITY : matrix
}

// The distance of slices: the least one between their places, else what the file says of it. Places that differ by less than
// a tenth of it are one, written with other digits.
export function stepOf(frames) {
  const planes = frames.map(planeOf).filter(Boolean)
  if (!planes.length) return 0
  const measures = group(frames[0].dataset, frames[0].index, "00289110")
  const between = Math.abs(number(measures, "00180088") || 0)
  const thickness = number(measures, "00180050") || 0
  const least = Math.max(1e-3, 0.1 * (between || thickness))
  const places = planes.map(({ position }) => dot(position, planes[0].normal)).sort((one, other) => one - other)
  let gap = between > 1e-3 ? between : Infinity
  for (let at = 1; at < places.length; at += 1) if (places[at] - places[at - 1] > least) gap = Math.min(gap, places[at] - places[at - 1])
  return Number.isFinite(gap) ? gap : thickness
}

export const frameOfReference = ({ dataset }) => text(dataset, "00200052")
export { IDENTITY, dot }
