// From stored values to grey levels (PS3.3 C.11.1, C.11.2): slope and intercept, window, inversion.

// A brightness from 0 to 1 for a value after the modality transformation.
export function brightness(window, value) {
  const { center, width, curve } = window
  if (curve === "SIGMOID") return 1 / (1 + Math.exp(Math.min(60, Math.max(-60, (-4 * (value - center)) / width))))
  if (curve === "LINEAR_EXACT") return clamp((value - center) / width + 0.5)
  if (width === 1) return value > center - 0.5 ? 1 : 0
  return clamp((value - (center - 0.5)) / (width - 1) + 0.5)
}

const clamp = (share) => Math.min(1, Math.max(0, share))

// The level of each stored value, by its 16 bits.
export function greyLevels(frame, window, isInverted, isSigned) {
  const levels = new Uint8Array(65536)
  const dark = frame.photometric === "MONOCHROME1" || frame.shape === "INVERSE"
  const turned = dark !== isInverted
  for (let bits = 0; bits < 65536; bits += 1) {
    const stored = isSigned && bits > 32767 ? bits - 65536 : bits
    const bright = brightness(window, stored * frame.slope + frame.intercept)
    levels[bits] = Math.floor((turned ? 1 - bright : bright) * 255 + 0.5)
  }
  return levels
}

// The window over all values of a picture that are no padding.
export function wholeRange(frame, samples) {
  let low = Infinity
  let high = -Infinity
  const [first, last] = frame.padding ?? [Infinity, -Infinity]
  for (const sample of samples) {
    if (sample >= first && sample <= last) continue
    if (sample < low) low = sample
    if (sample > high) high = sample
  }
  if (low > high) [low, high] = [0, 0]
  const ends = [low * frame.slope + frame.intercept, high * frame.slope + frame.intercept]
  const [bottom, top] = [Math.min(...ends), Math.max(...ends)]
  return { center: (bottom + top) / 2, width: Math.max(top - bottom, 1e-6), curve: "LINEAR_EXACT", name: "Whole range" }
}

// RGBA of a picture: grey through a table, colour as it is.
export function pixelsOf(image, levels) {
  const { width, height, components, samples } = image
  const rgba = new Uint8ClampedArray(width * height * 4)
  const words = new Uint32Array(rgba.buffer)
  if (components === 3) {
    for (let at = 0, from = 0; at < words.length; at += 1, from += 3) {
      words[at] = 0xff000000 | (samples[from + 2] << 16) | (samples[from + 1] << 8) | samples[from]
    }
  } else {
    for (let at = 0; at < words.length; at += 1) {
      const level = levels[samples[at] & 0xffff]
      words[at] = 0xff000000 | (level * 0x010101)
    }
  }
  return new ImageData(rgba, width, height)
}

// What people set for a kind of image.
export const PRESETS = {
  CT: [
    { name: "Soft tissue", center: 40, width: 400 },
    { name: "Lung", center: -600, width: 1500 },
    { name: "Bone", center: 480, width: 2500 },
    { name: "Brain", center: 40, width: 80 },
    { name: "Angio", center: 300, width: 600 },
    { name: "Liver", center: 60, width: 160 },
  ].map((preset) => ({ ...preset, curve: "LINEAR" })),
}
