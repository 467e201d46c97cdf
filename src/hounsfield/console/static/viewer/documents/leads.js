// Leads of an electrocardiogram by the codes of a channel, and the layouts in which they are printed.
import { text, value } from "../dicom.js"

// MDC (ISO/IEEE 11073-10102) and SCP-ECG number the leads alike; the number is the last part of the code.
const BY_NUMBER = { 1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF" }
const CODE = { MDC: /^2:(\d+)$/, SCPECG: /^5\.6\.3-9-(\d+)$/ }
const NAME = /(?:^|lead\s+|ecg\s+)(III|II|I|aVR|aVL|aVF|V[1-9]R?)\b/i
const NAMES = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]

// The lead that a channel is of, such as aVR; null where it is none that is known.
export function leadOf(channel) {
  const source = value(channel, "003A0208")
  const [, number] = CODE[text(source, "00080102")]?.exec(text(source, "00080100")) ?? []
  if (BY_NUMBER[number]) return BY_NUMBER[number]
  for (const words of [text(source, "00080104"), text(channel, "003A0203")]) {
    const found = NAME.exec(words)?.[1]
    if (found) return NAMES.find((name) => name.toLowerCase() === found.toLowerCase()) ?? found.toUpperCase()
  }
  return null
}

// Columns of rows of leads; each column shows its share of the time, as printed electrocardiograms do.
export const LAYOUTS = {
  "3×4": [["I", "II", "III"], ["aVR", "aVL", "aVF"], ["V1", "V2", "V3"], ["V4", "V5", "V6"]],
  "6×2": [["I", "II", "III", "aVR", "aVL", "aVF"], ["V1", "V2", "V3", "V4", "V5", "V6"]],
}

// The lead that runs below the others over the whole time.
export const RHYTHM = "II"
export const isTwelveLead = (channels) => NAMES.every((name) => channels.some(({ lead }) => lead === name))
