// The voxels of a volume: one array of stored values, or of rescaled ones where the images do not share one scale.
import { inverted } from "../vectors.js"

export class Voxels {
  // factor is how many columns and rows of the images become one voxel. A low-pass sample of a wavelet lies where every second
  // sample lay, so the middle of the first voxel stays.
  constructor({ frames, size: [columns, rows, slices], origin, steps: [across, down, along] }, factor) {
    this.size = [Math.ceil(columns / factor), Math.ceil(rows / factor), slices]
    this.origin = origin
    this.steps = [across.map((part) => part * factor), down.map((part) => part * factor), along]
    this.inverse = inverted(this.steps)
    this.factor = factor
    this.frames = frames
    this.present = new Uint8Array(slices)
    this.low = Infinity
    this.high = -Infinity
    const [first] = frames
    this.isUniform = hasOneScale(frames)
    ;[this.slope, this.intercept] = this.isUniform ? [first.slope, first.intercept] : [1, 0]
    this.padding = this.isUniform ? first.padding : null
    const Samples = arrayOf(frames, this.isUniform)
    this.samples = new Samples(this.size[0] * this.size[1] * slices)
  }

  static bytesOf({ frames, size: [columns, rows, slices] }, factor) {
    return Math.ceil(columns / factor) * Math.ceil(rows / factor) * slices * arrayOf(frames, hasOneScale(frames)).BYTES_PER_ELEMENT
  }

  put(slice, { width, height, components, samples }) {
    const [columns, rows] = this.size
    if (width !== columns || height !== rows || components !== 1) throw new Error("the image has another size than its data set says")
    const place = columns * rows * slice
    if (this.isUniform) this.samples.set(samples, place)
    else this.#putRescaled(this.frames[slice], samples, place)
    if (!this.hasRange) this.#widenRange(place, columns * rows)
    this.present[slice] = 1
  }

  #putRescaled({ slope, intercept, modalityTable, padding }, samples, place) {
    const [first, last] = padding ?? [Infinity, -Infinity]
    for (let at = 0; at < samples.length; at += 1) {
      const stored = samples[at]
      const value = modalityTable ? modalityTable.at(stored) : stored * slope + intercept
      this.samples[place + at] = stored >= first && stored <= last ? NaN : value
    }
  }

  #widenRange(place, count) {
    const { samples, slope, intercept } = this
    const [first, last] = this.padding ?? [Infinity, -Infinity]
    let [low, high] = [Infinity, -Infinity]
    for (let at = place; at < place + count; at += 1) {
      const sample = samples[at]
      if (sample >= first && sample <= last) continue
      if (sample < low) low = sample
      if (sample > high) high = sample
    }
    if (low > high) return
    const ends = [low * slope + intercept, high * slope + intercept]
    this.low = Math.min(this.low, ...ends)
    this.high = Math.max(this.high, ...ends)
  }

  // Takes the range of other voxels of the same volume for its own.
  takeRange({ low, high }) {
    Object.assign(this, { low, high, hasRange: true })
  }

  // Whether a stored value is none of the patient's.
  isPadding(sample) { return Number.isNaN(sample) || (this.padding !== null && sample >= this.padding[0] && sample <= this.padding[1]) }
}

// Slices of PET have a slope of their own each.
const hasOneScale = (frames) => !frames.some(({ modalityTable }) => modalityTable) && ["slope", "intercept", "isSigned", "bitsAllocated"].every((what) => frames.every((frame) => frame[what] === frames[0][what])) && frames.every(({ padding }) => String(padding) === String(frames[0].padding))

function arrayOf([{ bitsAllocated, isSigned }], isUniform) {
  if (!isUniform) return Float32Array
  if (bitsAllocated === 8) return isSigned ? Int8Array : Uint8Array
  return isSigned ? Int16Array : Uint16Array
}
