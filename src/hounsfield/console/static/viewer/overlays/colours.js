// Colours of segments and regions.

// The white of sRGB. The white of the ICC's connection space, which the standard names, is D50; but DCMTK, dcmqi, highdicom and
// dcmjs all write with this one, and a colour is to be seen as its writer and other viewers have it.
const D65 = [0.95047, 1, 1.08883]
// IEC 61966-2-1.
const TO_SRGB = [
  [3.2404542, -1.5371385, -0.4985314],
  [-0.9692660, 1.8760108, 0.0415560],
  [0.0556434, -0.2040259, 1.0572252],
]

// Red, green and blue, from 0 to 255, of three unsigned numbers of 16 bits (PS3.3 C.10.7.1.1).
export function fromCielab([lightness, a, b]) {
  const l = (lightness * 100) / 65535
  const fy = (l + 16) / 116
  const parts = [fy + ((a * 255) / 65535 - 128) / 500, fy, fy - ((b * 255) / 65535 - 128) / 200]
  const xyz = parts.map((part, index) => D65[index] * (part > 6 / 29 ? part ** 3 : 3 * (6 / 29) ** 2 * (part - 4 / 29)))
  return TO_SRGB.map((row) => row[0] * xyz[0] + row[1] * xyz[1] + row[2] * xyz[2]).map((linear) => {
    const light = Math.min(1, Math.max(0, linear))
    return Math.round(255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055))
  })
}

// One of many that differ, for what has no colour of its own: hues a golden angle apart, light and dark in turn.
export function distinct(index) {
  const hue = (index * 137.508 + 20) % 360
  const lightness = [0.6, 0.45, 0.75][index % 3]
  const reach = 0.9 * Math.min(lightness, 1 - lightness)
  return [0, 8, 4].map((offset) => {
    const turn = (offset + hue / 30) % 12
    return Math.round(255 * (lightness - reach * Math.max(-1, Math.min(turn - 3, 9 - turn, 1))))
  })
}

export const isColour = (parts) => parts.length === 3 && parts.every(Number.isFinite)
export const css = ([red, green, blue], share = 1) => `rgb(${red} ${green} ${blue} / ${share})`
