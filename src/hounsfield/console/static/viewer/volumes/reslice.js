// Planes through voxels: linear interpolation between the middles of voxels, as wide as the voxels reach.
import { brightness } from "../greyscale.js"
import { isDark, toIndex } from "./geometry.js"

// Outside of all voxels, or padding.
const NOTHING = NaN
// In an image that is not here.
export const MISSING = -Infinity
const ALMOST = 1e-6

// Rescaled values on a plane: origin is the middle of its first pixel in the patient in mm, right and down lead to the next
// pixel and the next row. Of a slab, layers planes a step apart are taken together: the largest value, the least or the mean.
export function reslice(voxels, { origin, right, down, width, height, slab = null }) {
  const values = new Float32Array(width * height)
  if (!slab || slab.layers <= 1) {
    sample(voxels, origin, right, down, width, height, values)
    return values
  }
  const layer = new Float32Array(width * height)
  const counts = slab.mode === "mean" ? new Uint16Array(width * height) : null
  values.fill(NOTHING)
  for (let number = 0; number < slab.layers; number += 1) {
    const away = number - (slab.layers - 1) / 2
    sample(voxels, origin.map((part, axis) => part + slab.step[axis] * away), right, down, width, height, layer)
    gather(values, layer, slab.mode, counts)
  }
  if (counts) for (let at = 0; at < values.length; at += 1) if (counts[at]) values[at] /= counts[at]
  return values
}

function gather(values, layer, mode, counts) {
  for (let at = 0; at < values.length; at += 1) {
    const value = layer[at]
    if (value === MISSING) values[at] = MISSING
    if (Number.isNaN(value) || values[at] === MISSING) continue
    if (Number.isNaN(values[at])) values[at] = value
    else if (counts) values[at] += value
    else if (mode === "least" ? value < values[at] : value > values[at]) values[at] = value
    if (counts) counts[at] += 1
  }
}

function sample(voxels, origin, right, down, width, height, values) {
  const { size: [columns, rows, slices], samples, slope, intercept, present } = voxels
  const [lowest, highest] = voxels.padding ?? [Infinity, -Infinity]
  const start = toIndex(voxels, origin)
  const next = toIndex(voxels, voxels.origin.map((part, axis) => part + right[axis]))
  const below = toIndex(voxels, voxels.origin.map((part, axis) => part + down[axis]))
  const area = columns * rows
  let at = 0
  for (let row = 0; row < height; row += 1) {
    const startX = start[0] + row * below[0]
    const startY = start[1] + row * below[1]
    const startZ = start[2] + row * below[2]
    for (let column = 0; column < width; column += 1, at += 1) {
      const x = startX + column * next[0]
      const y = startY + column * next[1]
      const z = startZ + column * next[2]
      if (!(x >= -0.5 && y >= -0.5 && z >= -0.5 && x < columns - 0.5 && y < rows - 0.5 && z < slices - 0.5)) {
        values[at] = NOTHING
        continue
      }
      let left = Math.floor(x + ALMOST)
      let top = Math.floor(y + ALMOST)
      let first = Math.floor(z + ALMOST)
      let shareX = x - left
      let shareY = y - top
      let shareZ = z - first
      if (shareX < ALMOST) shareX = 0
      if (shareY < ALMOST) shareY = 0
      if (shareZ < ALMOST) shareZ = 0
      // Half a voxel around the outermost middles has their values.
      if (left < 0) { left = 0; shareX = 0 } else if (left >= columns - 1) shareX = 0
      if (top < 0) { top = 0; shareY = 0 } else if (top >= rows - 1) shareY = 0
      if (first < 0) { first = 0; shareZ = 0 } else if (first >= slices - 1) shareZ = 0
      const place = first * area + top * columns + left
      if (!present[first] || (shareZ && !present[first + 1])) {
        values[at] = MISSING
        continue
      }
      const toRight = shareX ? 1 : 0
      const toBelow = shareY ? columns : 0
      if (hasPadding(samples, place, toRight, toBelow, lowest, highest) || (shareZ && hasPadding(samples, place + area, toRight, toBelow, lowest, highest))) {
        values[at] = besidePadding(voxels, place, shareX, shareY, shareZ)
        continue
      }
      const near = mix(samples, place, toRight, toBelow, shareX, shareY)
      const stored = shareZ ? near + (mix(samples, place + area, toRight, toBelow, shareX, shareY) - near) * shareZ : near
      values[at] = stored * slope + intercept
    }
  }
}

function mix(samples, place, toRight, toBelow, shareX, shareY) {
  const one = samples[place]
  const above = one + (samples[place + toRight] - one) * shareX
  if (!toBelow) return above
  const other = samples[place + toBelow]
  const below = other + (samples[place + toBelow + toRight] - other) * shareX
  return above + (below - above) * shareY
}

// Whether one of four neighbours is none of the patient's values; padding of rescaled values is no number.
function hasPadding(samples, place, toRight, toBelow, lowest, highest) {
  const one = samples[place]
  const other = samples[place + toRight]
  const below = samples[place + toBelow]
  const across = samples[place + toBelow + toRight]
  return (one >= lowest && one <= highest) || (other >= lowest && other <= highest) || (below >= lowest && below <= highest) || (across >= lowest && across <= highest) || Number.isNaN(one + other + below + across)
}

// Beside padding there is nothing to interpolate with: the nearest voxel counts there.
function besidePadding(voxels, place, shareX, shareY, shareZ) {
  const { size: [columns, rows], samples, slope, intercept } = voxels
  const nearest = samples[place + (shareX > 0.5 ? 1 : 0) + (shareY > 0.5 ? columns : 0) + (shareZ > 0.5 ? columns * rows : 0)]
  return voxels.isPadding(nearest) ? NOTHING : nearest * slope + intercept
}

// The value at one place of the patient.
export function valueAt(voxels, point) {
  const [value] = reslice(voxels, { origin: point, right: [0, 0, 0], down: [0, 0, 0], width: 1, height: 1 })
  return value
}

// Grey levels of values through a window, as those of images; what has no value is black, what is missing at the end dark red.
export function paint(values, voxels, window, isInverted, isLoading, words) {
  const isTurned = isDark(voxels.frames[0]) !== isInverted
  const missing = isLoading ? 0xff000000 : 0xff000050
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at]
    if (Number.isNaN(value)) words[at] = 0xff000000
    else if (value === MISSING) words[at] = missing
    else {
      const bright = brightness(window, value)
      words[at] = 0xff000000 | (Math.floor((isTurned ? 1 - bright : bright) * 255 + 0.5) * 0x010101)
    }
  }
}
