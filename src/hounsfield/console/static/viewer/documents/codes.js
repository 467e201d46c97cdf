// Codes (PS3.3 section 8.8): their meaning is what people read, value and scheme are said beside it.
import { text, value } from "../dicom.js"
import { element } from "./element.js"

const UNITS = {
  mm2: "mm²", cm2: "cm²", m2: "m²", mm3: "mm³", cm3: "cm³", "[hnsf'U]": "HU", Cel: "°C", um: "µm", ug: "µg", us: "µs", uV: "µV",
  "mm[Hg]": "mmHg", "g/ml{SUVbw}": "g/ml (SUV bw)", "{H.B.}/min": "beats/min", "{B}/min": "beats/min", "/min": "1/min", deg: "°", 1: "",
}
const PLAIN_UNIT = /^[A-Za-z%µ]+[0-9]?(?:[/.][A-Za-z]+[0-9]?)*$/

// The code in a code sequence, null where there is none.
export function codeOf(dataset, tag) {
  const item = value(dataset, tag)
  if (!item) return null
  const codeValue = text(item, "00080100") || text(item, "00080119") || text(item, "00080120")
  const meaning = text(item, "00080104")
  if (!codeValue && !meaning) return null
  return { value: codeValue, scheme: text(item, "00080102"), meaning: meaning || codeValue }
}

export const isCode = (code, scheme, codeValue) => code?.scheme === scheme && code.value === codeValue

const described = ({ value: codeValue, scheme }) => [codeValue, scheme].filter(Boolean).join(", ")

// The meaning of a code, with value and scheme as its title.
export const codeElement = (code) => element("span", { title: described(code) }, code.meaning)

// A unit as it is written after a number.
export function unitText(code) {
  if (!code) return ""
  if (code.scheme !== "UCUM") return code.meaning
  if (code.value in UNITS) return UNITS[code.value]
  return PLAIN_UNIT.test(code.value) ? code.value : code.meaning
}
