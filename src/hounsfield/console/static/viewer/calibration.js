// How large a pixel is at a place of an image, and by what: spacing of the image, or a region of an ultrasound image
// (PS3.3 C.8.5.5).
import { number, values } from "./dicom.js"

const PIXELS = { x: 1, y: 1, unitX: "px", unitY: "px", note: "" }
// Physical Units X and Y Direction; those of lengths as millimetres.
const UNITS = { 1: ["%", 1], 2: ["dB", 1], 3: ["mm", 10], 4: ["s", 1], 5: ["Hz", 1], 6: ["dB/s", 1], 7: ["cm/s", 1], 8: ["cm²", 1], 9: ["cm²/s", 1], 10: ["cm³", 1], 11: ["cm³/s", 1], 12: ["°", 1] }

// Gives size and unit of a pixel along columns and rows for something that has all of these points.
export function calibrationOf(frame, points) {
  const regions = regionsOf(frame.dataset)
  const around = regions.filter((region) => points.every((point) => isWithin(region, point)))
  if (around.length) return around.reduce((one, other) => (areaOf(other) < areaOf(one) ? other : one))
  if (regions.length) return { ...PIXELS, note: "not within one region" }
  return frame.spacing ? { x: frame.spacing[1], y: frame.spacing[0], unitX: "mm", unitY: "mm", note: "" } : PIXELS
}

export const isOneUnit = ({ unitX, unitY }) => unitX === unitY

function regionsOf(dataset) {
  return values(dataset, "00186011").flatMap((item) => {
    const [left, top, right, bottom] = ["00186018", "0018601A", "0018601C", "0018601E"].map((tag) => number(item, tag))
    const [across, down] = [UNITS[number(item, "00186024")], UNITS[number(item, "00186026")]]
    const [x, y] = [Math.abs(number(item, "0018602C")), Math.abs(number(item, "0018602E"))]
    if (!across || !down || !(x > 0 && y > 0 && right >= left && bottom >= top)) return []
    return [{ left, top, right, bottom, x: x * across[1], y: y * down[1], unitX: across[0], unitY: down[0], note: "" }]
  })
}

const isWithin = ({ left, top, right, bottom }, [x, y]) => x >= left && x <= right + 1 && y >= top && y <= bottom + 1
const areaOf = ({ left, top, right, bottom }) => (right - left + 1) * (bottom - top + 1)
