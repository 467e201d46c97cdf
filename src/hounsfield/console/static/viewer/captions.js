// What the corners of an image say of patient, study and technique, and of what one must know before one reads it.
import { normalOf, number, numbers, text, value, values } from "./dicom.js"
import { dateText, nameText } from "./documents/moments.js"

export const patientLines = (dataset) => [
  nameText(value(dataset, "00100010")),
  text(dataset, "00100020"),
  [text(dataset, "00100030") && `born ${dateText(text(dataset, "00100030"))}`, text(dataset, "00100040")].filter(Boolean).join(", "),
]

export const studyLines = (dataset) => [
  text(dataset, "00080080"),
  dateText(text(dataset, "00080020"), text(dataset, "00080030")),
  text(dataset, "00080050") && `accession ${text(dataset, "00080050")}`,
  text(dataset, "00081030"),
  [value(dataset, "00200011") === undefined ? "" : `Series ${text(dataset, "00200011")}`, text(dataset, "0008103E")].filter(Boolean).join(": "),
]

export function techniqueLines(frame) {
  const { dataset } = frame
  const thickness = number(dataset, "00180050")
  return [
    Number.isFinite(thickness) && `thickness ${short(thickness)} mm`,
    placeOf(frame),
    text(dataset, "00180060") && `${text(dataset, "00180060")} kV`,
    text(dataset, "00181030") && `protocol ${text(dataset, "00181030")}`,
  ]
}

// Where an image lies along the axis of the patient that it is most nearly across.
function placeOf({ position, orientation }) {
  if (!position) return ""
  const sizes = orientation ? normalOf(orientation).map(Math.abs) : [0, 0, 1]
  const axis = sizes.indexOf(Math.max(...sizes))
  return `at ${["x ", "y ", ""][axis]}${short(position[axis])} mm`
}

const short = (size) => String(Number(size.toFixed(2))).replace("-", "−")

const SIDES = { R: "Right", L: "Left", B: "Both sides" }

// Of which side of a pair an image is (Frame Laterality, Image Laterality, Laterality), and from where it was taken; in
// mammography by the letters that everybody there uses.
export function viewText({ dataset, modality, index }) {
  const anatomy = [values(dataset, "52009230")[index], value(dataset, "52009229")].map((item) => value(item, "00209071")).find(Boolean)
  const side = text(anatomy, "00209072") || text(dataset, "00200062") || text(dataset, "00200060")
  const code = value(dataset, "00540220")
  const position = text(dataset, "00185101")
  const meaning = text(code, "00080104")
  const from = position && meaning && modality === "MG" ? `${position} (${meaning})` : meaning || position
  return [modality === "MG" && side !== "B" && side !== "U" ? side : SIDES[side] ?? "", from].filter(Boolean).join(" ")
}

// Transfer syntaxes that always lose something: JPEG, JPEG-LS near-lossless, video. Those of JPEG 2000 and HTJ2K may.
const LOSSY = /^1\.2\.840\.10008\.1\.2\.4\.(50|51|81|10[0-8](\.1)?)$/
const MAYBE_LOSSY = /^1\.2\.840\.10008\.1\.2\.4\.(91|93|203)$/
const METHODS = { ISO_10918_1: "JPEG", ISO_14495_1: "JPEG-LS", ISO_15444_1: "JPEG 2000", ISO_15444_15: "HTJ2K", ISO_13818_2: "MPEG-2", ISO_14496_10: "H.264", ISO_23008_2: "H.265" }

// Whether an image lost something by compression, by how much and by what (PS3.3 C.7.6.1.1.5).
export function lossText({ dataset, syntax }) {
  const said = text(dataset, "00282110")
  if (said !== "01" && !LOSSY.test(syntax)) return said !== "00" && MAYBE_LOSSY.test(syntax) ? "Possibly lossy" : ""
  const ratios = numbers(dataset, "00282112")
  const methods = values(dataset, "00282114")
  const steps = Array.from({ length: Math.max(ratios.length, methods.length) }, (_, step) => [
    ratios[step] > 0 ? `${Number(ratios[step].toPrecision(3))}:1` : "",
    METHODS[methods[step]] ?? methods[step] ?? "",
  ].filter(Boolean).join(" ")).filter(Boolean)
  return `Lossy${steps.length ? ` ${steps.join(", then ")}` : ""}`
}

// The name of a saved picture, which tells the study and the image, and nobody's name.
export function pictureName(dataset, what) {
  const date = text(dataset, "00080020")
  const parts = [text(dataset, "00080060") || "image", date, `series-${text(dataset, "00200011") || "unnumbered"}`, what]
  return `${parts.filter(Boolean).join("-").replace(/[^\p{L}\p{N}.-]+/gu, "_")}.png`
}
