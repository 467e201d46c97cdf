// Whether the frames of a series are one volume, and where its voxels lie in the patient (PS3.3 C.7.6.2.1.1).
import { isParallel, letters, normalOf, placeAlong, text } from "../dicom.js"
import { add, cross, dot, inverted, length, minus, normalized, scaled } from "../vectors.js"

const MODALITIES = new Set(["CT", "MR", "PT"])
const LEAST_SLICES = 3
// Beyond that the memory of a tab has no room for slices of a useful size; a cine may have a hundred thousand frames.
const MOST_SLICES = 4096
// Of the distance of two slices: how far one may lie from its place in the row. Positions are often rounded to a tenth of a millimetre.
const PLACE_TOLERANCE = 0.05
// Of a pixel: how far the last slice may be shifted sideways against the first.
const SHIFT_TOLERANCE = 0.5

// Returns { volume } or { reason } in words.
//
// A volume has its frames in the order of the slices; the size as columns, rows, slices; origin, the middle of the first voxel
// in the patient in mm; steps, the three ways from a voxel to the next along columns, rows and slices in mm; and the
// inverse of those.
export function volumeOf(frames) {
  const reason = whyNoGrid(frames)
  return reason ? { reason } : arranged(frames)
}

function whyNoGrid(frames) {
  if (!frames.length) return "The series has no images."
  const [first] = frames
  if (frames.some(({ modality }) => !MODALITIES.has(modality))) return "Only series of CT, MR and PT are shown as volumes."
  if (frames.some(({ samplesPerPixel, isPalette, palette }) => samplesPerPixel !== 1 || isPalette || palette)) return "The images are in colour."
  if (frames.some(({ bitsAllocated }) => bitsAllocated !== 8 && bitsAllocated !== 16)) return "The images have other samples than those of 8 or 16 bits."
  if (frames.length < LEAST_SLICES) return `A volume needs at least ${LEAST_SLICES} images, and the series has ${frames.length}.`
  if (frames.length > MOST_SLICES) return `A volume has at most ${MOST_SLICES} images here, and the series has ${frames.length}.`
  const without = (what) => frames.filter((frame) => !frame[what]).length
  for (const [what, name] of [["position", "Image Position (Patient)"], ["orientation", "Image Orientation (Patient)"]]) {
    const count = without(what)
    if (count) return `${of(count, frames)} no ${name}.`
  }
  const uncalibrated = frames.filter(({ spacing, spacingSource }) => !spacing || spacingSource !== "PixelSpacing").length
  if (uncalibrated) return `${of(uncalibrated, frames)} no Pixel Spacing.`
  const unit = normalized(first.orientation.slice(0, 3))
  if (!isOrthonormal(first.orientation) || !unit) return "Image Orientation (Patient) is not two directions at right angles."
  const others = frames.filter((frame) => !isParallel(frame, first)).length
  if (others) return `The images lie in different directions: ${others} of ${frames.length} are not parallel to the first.`
  if (new Set(frames.map(({ dataset }) => text(dataset, "00200052"))).size > 1) return "The images have different frames of reference, so their places cannot be compared."
  if (new Set(frames.map(({ rows, columns }) => `${rows} ${columns}`)).size > 1) return "The images have different sizes."
  if (frames.some(({ spacing }) => spacing.some((one, axis) => Math.abs(one - first.spacing[axis]) > 1e-3 * one))) return "The images have different Pixel Spacing."
  if (new Set(frames.map(isDark)).size > 1) return "Dark is high in some images and low in others."
  if (new Set(frames.map(({ unit: one }) => one)).size > 1) return "The values of the images have different units."
  return null
}

const of = (count, frames) => (count === 1 ? `1 of ${frames.length} images has` : `${count} of ${frames.length} images have`)

export const isDark = ({ photometric, shape }) => photometric === "MONOCHROME1" || shape === "INVERSE"

function isOrthonormal(orientation) {
  const [row, column] = [orientation.slice(0, 3), orientation.slice(3)]
  return Math.abs(length(row) - 1) < 1e-2 && Math.abs(length(column) - 1) < 1e-2 && Math.abs(dot(row, column)) < 1e-2
}

function arranged(frames) {
  const { orientation, spacing, rows, columns } = frames[0]
  const right = normalized(orientation.slice(0, 3))
  const normal = normalized(normalOf(orientation))
  const down = cross(normal, right)
  const place = new Map(frames.map((frame) => [frame, placeAlong(frame, normal)]))
  const sorted = [...frames].sort((one, other) => place.get(one) - place.get(other))
  const places = sorted.map((frame) => place.get(frame))
  const steps = places.slice(1).map((one, index) => one - places[index])
  const usual = [...steps].sort((one, other) => one - other)[Math.floor(steps.length / 2)]
  const doubles = steps.filter((step) => step < Math.max(1e-3, usual * PLACE_TOLERANCE)).length
  if (doubles) return { reason: `${doubles} of ${frames.length} images lie at the place of another, as phases, echoes, b-values and copies do.` }
  const reason = unevenness(places, steps, usual)
  if (reason) return { reason }
  const last = sorted.length - 1
  const way = minus(sorted[last].position, sorted[0].position)
  const sideways = sorted.map((frame) => sidewaysOf(minus(frame.position, sorted[0].position), normal))
  const shift = length(minus(way, scaled(normal, dot(way, normal))))
  const pixel = Math.min(...spacing)
  if (shift > SHIFT_TOLERANCE * pixel) return { reason: tilt(shift, dot(way, normal)) }
  if (sideways.some((one) => length(one) > SHIFT_TOLERANCE * pixel)) return { reason: "Some images are shifted sideways against the others." }
  const [origin, along] = lineThrough(sorted.map(({ position }) => position))
  const stepsInPatient = [scaled(right, spacing[1]), scaled(down, spacing[0]), along]
  return { volume: { frames: sorted, size: [columns, rows, sorted.length], origin, steps: stepsInPatient, inverse: inverted(stepsInPatient), normal } }
}

const sidewaysOf = (way, normal) => minus(way, scaled(normal, dot(way, normal)))

function unevenness(places, steps, usual) {
  const row = (places.at(-1) - places[0]) / steps.length
  const isEven = places.every((one, index) => Math.abs(one - places[0] - index * row) <= PLACE_TOLERANCE * row) && steps.every((step) => Math.abs(step - row) <= 2 * PLACE_TOLERANCE * row)
  if (isEven) return null
  const worst = steps.map((step) => Math.abs(step - usual))
  const at = worst.indexOf(Math.max(...worst))
  const missing = Math.round(steps[at] / usual) - 1
  const guess = missing > 0 && Math.abs(steps[at] / usual - missing - 1) < 0.1 ? ` ${missing === 1 ? "An image seems" : `${missing} images seem`} to be missing.` : ""
  return `The images are not at even distances: ${steps[at].toFixed(2)} mm between the images ${at + 1} and ${at + 2}, elsewhere ${usual.toFixed(2)} mm.${guess}`
}

function tilt(shift, height) {
  const angle = (Math.atan2(shift, Math.abs(height)) * 180) / Math.PI
  return `The gantry was tilted: each image is shifted sideways against the one before, by ${shift.toFixed(1)} mm from the first to the last (${angle.toFixed(1)}°).`
}

// Every second slice of a volume, which lie twice as far from each other.
export function thinned({ frames, size: [columns, rows], origin, steps: [across, down, along] }) {
  const kept = frames.filter((_, slice) => slice % 2 === 0)
  return { frames: kept, size: [columns, rows, kept.length], origin, steps: [across, down, scaled(along, 2)] }
}

// The straight line that is nearest to all positions: rounding of one of them does not move the others.
function lineThrough(positions) {
  const middle = (positions.length - 1) / 2
  let squares = 0
  let [mean, slope] = [[0, 0, 0], [0, 0, 0]]
  positions.forEach((position, index) => {
    squares += (index - middle) ** 2
    mean = add(mean, scaled(position, 1 / positions.length))
    slope = add(slope, scaled(position, index - middle))
  })
  const step = scaled(slope, 1 / squares)
  return [minus(mean, scaled(step, middle)), step]
}

export const toPatient = ({ origin, steps }, [column, row, slice]) => [0, 1, 2].map((axis) => origin[axis] + steps[0][axis] * column + steps[1][axis] * row + steps[2][axis] * slice)

export function toIndex({ origin, inverse }, point) {
  const way = minus(point, origin)
  return inverse.map((row) => dot(row, way))
}

export const PATIENT_AXES = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]

// The axes of the images as they lie nearest to left, posterior and head of the patient; each points there.
export function ownAxes({ steps }) {
  const right = normalized(steps[0])
  const normal = normalized(cross(steps[0], steps[1]))
  const axes = [right, cross(normal, right), normal]
  const orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
  const fit = (order) => order.reduce((sum, axis, patient) => sum + Math.abs(axes[axis][patient]), 0)
  const best = orders.reduce((one, other) => (fit(other) > fit(one) ? other : one))
  return best.map((axis, patient) => (axes[axis][patient] < 0 ? scaled(axes[axis], -1) : axes[axis]))
}

// The three planes along axes that lead to the left, to the back and to the head: what is right and down on the screen, and
// where scrolling leads. They lie as they are looked at: axial from the feet, coronal from the front, sagittal from the left.
export function planesAlong([left, back, head]) {
  const feet = scaled(head, -1)
  return [
    { name: "Axial", right: left, down: back, normal: head },
    { name: "Coronal", right: left, down: feet, normal: back },
    { name: "Sagittal", right: back, down: feet, normal: left },
  ]
}

// The angle in degrees between the normal of a plane along own axes and the axis of the patient that it is named after.
export function obliquity({ name, normal }) {
  const axis = { Axial: 2, Coronal: 1, Sagittal: 0 }[name]
  return (Math.acos(Math.min(1, Math.abs(normal[axis]))) * 180) / Math.PI
}

// How far it is to the next voxel along a direction, in mm.
export const spacingAlong = ({ inverse }, direction) => 1 / Math.max(...inverse.map((row) => Math.abs(dot(row, direction))))

// A place in the patient in words, as L 12.3 P 4.5 H 100.0 mm.
export const placeText = (point) => `${point.map((one, axis) => `${letters(PATIENT_AXES[axis].map((part) => part * (one < 0 ? -1 : 1)))} ${Math.abs(one).toFixed(1)}`).join("  ")} mm`
