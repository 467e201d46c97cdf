// From stored values to what is shown (PS3.3 C.11.1, C.11.2, C.7.6.3): modality LUT or slope, VOI LUT or window, inversion;
// palettes; padding, which is background.
import { colourAt } from "./lookup_table.js"

// A brightness from 0 to 1 for a value after the modality transformation.
export function brightness(window, value) {
  const { center, width, curve, table } = window
  if (table) return table.at(value) / table.largest
  if (curve === "SIGMOID") return 1 / (1 + Math.exp(Math.min(60, Math.max(-60, (-4 * (value - center)) / width))))
  if (curve === "LINEAR_EXACT") return clamp((value - center) / width + 0.5)
  if (width === 1) return value > center - 0.5 ? 1 : 0
  return clamp((value - (center - 0.5)) / (width - 1) + 0.5)
}

const clamp = (share) => Math.min(1, Math.max(0, share))

export const isWide = (samples) => samples.BYTES_PER_ELEMENT > 2
export const isSignedArray = (samples) => samples instanceof Int16Array || samples instanceof Int8Array || samples instanceof Int32Array

// Gives a function from a stored value to its level, black where it is padding or no number.
function levelOf(frame, window, isInverted) {
  const { modalityTable: table, slope, intercept, photometric, shape, padding } = frame
  const isTurned = (photometric === "MONOCHROME1" || shape === "INVERSE") !== isInverted
  const [first, last] = padding ?? [Infinity, -Infinity]
  return (stored) => {
    if (stored >= first && stored <= last) return 0
    const bright = brightness(window, table ? table.at(stored) : stored * slope + intercept)
    const share = Number.isNaN(bright) ? 0 : bright
    return Math.floor((isTurned ? 1 - share : share) * 255 + 0.5)
  }
}

const BLACK = 0xff000000

// What each stored value is shown as, by its 16 bits: opaque words of blue, green and red.
export function colourWords(frame, window, isInverted, isSigned) {
  const words = new Uint32Array(65536)
  const wordOf = wordsOf(frame, window, isInverted)
  for (let bits = 0; bits < 65536; bits += 1) words[bits] = wordOf(isSigned && bits > 32767 ? bits - 65536 : bits)
  return words
}

// Gives a function from a stored value to the word that it is shown as.
export function wordsOf(frame, window, isInverted) {
  const { palette, isPalette } = frame
  const flip = isInverted ? 0xffffff : 0
  const coloured = palette && ((stored) => { const [red, green, blue] = colourAt(palette, stored); return (BLACK | (((blue << 16) | (green << 8) | red) ^ flip)) >>> 0 })
  if (isPalette) return coloured ?? (() => BLACK)
  const grey = levelOf(frame, window, isInverted)
  const shade = (stored) => (BLACK | (grey(stored) * 0x010101)) >>> 0
  if (!coloured) return shade
  // Of a supplemental palette only the values that it maps are colours (PS3.3 C.7.6.19).
  const [{ first, last }] = palette
  return (stored) => (stored >= first && stored <= last ? coloured(stored) : shade(stored))
}

// The window over all values of a picture that are no padding.
export function wholeRange(frame, samples) {
  let low = Infinity
  let high = -Infinity
  const [first, last] = frame.padding ?? [Infinity, -Infinity]
  for (const sample of samples) {
    if ((sample >= first && sample <= last) || !Number.isFinite(sample)) continue
    if (sample < low) low = sample
    if (sample > high) high = sample
  }
  if (low > high) [low, high] = first <= last ? [first, last] : [0, 0]
  const ends = frame.modalityTable ? endsOf(frame.modalityTable, low, high) : [frame.rescaled(low), frame.rescaled(high)]
  const [bottom, top] = [Math.min(...ends), Math.max(...ends)]
  const width = top > bottom ? top - bottom : 1
  // All of one value is dark.
  return { center: bottom + width / 2, width, curve: "LINEAR_EXACT", name: "Whole range" }
}

function endsOf(table, low, high) {
  const place = (input) => Math.min(table.entries.length - 1, Math.max(0, input - table.first))
  const entries = table.entries.subarray(place(low), place(high) + 1)
  return [entries.reduce((one, other) => Math.min(one, other), Infinity), entries.reduce((one, other) => Math.max(one, other), 0)]
}

// RGBA of a picture: one sample through words by their bits, or through a function where they are wide; colour as it is.
export function pixelsOf(image, words, frame) {
  const { width, height, components, samples } = image
  const pixels = new ImageData(width, height)
  const shown = new Uint32Array(pixels.data.buffer)
  if (components === 3) {
    const shift = samples.BYTES_PER_ELEMENT > 1 ? Math.max(0, frame.bitsStored - 8) : 0
    for (let at = 0, from = 0; at < shown.length; at += 1, from += 3) {
      shown[at] = BLACK | ((samples[from + 2] >> shift) << 16) | ((samples[from + 1] >> shift) << 8) | (samples[from] >> shift)
    }
  } else if (typeof words === "function") {
    for (let at = 0; at < shown.length; at += 1) shown[at] = words(samples[at])
  } else {
    for (let at = 0; at < shown.length; at += 1) shown[at] = words[samples[at] & 0xffff]
  }
  return pixels
}

// What people set for a kind of image.
const windows = (...list) => list.map(([name, width, center]) => ({ name, center, width, curve: "LINEAR" }))
export const PRESETS = {
  CT: windows(["Soft tissue", 400, 40], ["Lung", 1500, -600], ["Bone", 2500, 480], ["Brain", 80, 40], ["Angio", 600, 300], ["Liver", 160, 60]),
}

// Presets of PET are standardised uptake values: what they are in values of the file depends on the patient.
export function suvPresets(factor) {
  return [5, 10, 20].map((most) => ({ name: `SUV 0 – ${most}`, center: most / factor / 2, width: most / factor, curve: "LINEAR_EXACT" }))
}
