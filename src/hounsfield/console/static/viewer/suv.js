// Standardised uptake values by body weight (QIBA's vendor-neutral rule for PET): what a value of the file is to be multiplied by.
import { number, text, value, values } from "./dicom.js"

const GE_SCAN_TIME = [0x0009, "GEMS_PETD_01", 0x0d]
const PHILIPS = [0x7053, "Philips PET Private Group"]

// Gives { factor } in g/ml for each unit of the file, or { reason } in words; datasets are those of the whole series.
export function suvOf(dataset, datasets = [dataset]) {
  const units = text(dataset, "00541001")
  if (units === "GML") {
    const kind = text(dataset, "00541006") || "BW"
    return kind === "BW" ? { factor: 1 } : { reason: `the file has SUV by ${KINDS[kind] ?? kind}, not by body weight` }
  }
  if (units === "CNTS") {
    const factor = privateNumber(dataset, PHILIPS, 0x00)
    if (factor > 0) return { factor }
    const toBecquerel = privateNumber(dataset, PHILIPS, 0x09)
    if (!(toBecquerel > 0)) return { reason: "the file has counts, and no factor that makes activity of them" }
    const found = fromActivity(dataset, datasets)
    return found.reason ? found : { factor: found.factor * toBecquerel }
  }
  if (units !== "BQML") return { reason: units ? `its units are ${units}` : "Units (0054,1001) are missing" }
  return fromActivity(dataset, datasets)
}

const KINDS = { LBM: "lean body mass", LBMJANMA: "lean body mass", LBMJAMES128: "lean body mass", BSA: "body surface area", IBW: "ideal body weight" }

function fromActivity(dataset, datasets) {
  const corrected = values(dataset, "00280051")
  if (!corrected.includes("ATTN")) return { reason: "it is not corrected for attenuation (0028,0051)" }
  const correction = text(dataset, "00541102")
  if (!corrected.includes("DECY") || !["START", "ADMIN"].includes(correction)) return { reason: "it is not corrected for decay to the start or to the administration (0054,1102)" }
  const dose = value(dataset, "00540016") ?? {}
  const wanted = [["Patient's Weight", number(dataset, "00101030")], ["Radionuclide Total Dose", number(dose, "00181074")], ["Radionuclide Half Life", number(dose, "00181075")]]
  const missing = wanted.find(([, found]) => !(found > 0 && Number.isFinite(found)))
  if (missing) return { reason: `${missing[0]} is missing` }
  const [weight, total, halfLife] = wanted.map(([, found]) => found)
  if (correction === "ADMIN") return { factor: (weight * 1000) / total }
  const scan = scanTime(dataset, datasets, halfLife)
  if (scan.reason) return scan
  const given = injectionTime(dose, scan.seconds)
  if (given === null) return { reason: "Radiopharmaceutical Start Time is missing" }
  const seconds = scan.seconds - given
  if (seconds < 0) return { reason: "the dose was given after the scan, by the times of the file" }
  return { factor: (weight * 1000) / (total * 2 ** (-seconds / halfLife)), seconds }
}

// When the values were corrected to: the series' time, unless that is later than the acquisition, as where it was processed again.
function scanTime(dataset, datasets, halfLife) {
  const series = secondsOf(text(dataset, "00080021"), text(dataset, "00080031"))
  const acquired = secondsOf(text(dataset, "00080022"), text(dataset, "00080032"))
  if (acquired === null) return { reason: "Acquisition Date and Time are missing" }
  if (series !== null && series <= acquired) return { seconds: series }
  const ge = privateText(dataset, GE_SCAN_TIME, GE_SCAN_TIME[2])
  const scanned = ge ? secondsOf(ge.slice(0, 8), ge.slice(8)) : null
  if (scanned !== null) return { seconds: scanned }
  const reference = number(dataset, "00541300")
  const duration = number(dataset, "00181242") / 1000
  if (reference > 0 && duration > 0) {
    const decay = Math.LN2 / halfLife
    const share = decay * duration
    return { seconds: acquired - reference / 1000 + Math.log(share / (1 - Math.exp(-share))) / decay }
  }
  const all = datasets.map((one) => secondsOf(text(one, "00080022"), text(one, "00080032"))).filter((one) => one !== null)
  return { seconds: all.reduce((least, one) => Math.min(least, one), acquired) }
}

// A start without a date is of the day of the scan, or of the day before where it would be later.
function injectionTime(dose, scanned) {
  const dated = text(dose, "00181078")
  const exact = /^\d{14}/.test(dated) ? secondsOf(dated.slice(0, 8), dated.slice(8).replace(/[+-]\d{4}$/, "")) : null
  if (exact !== null) return exact
  const time = timeOf(text(dose, "00181072"))
  if (time === null) return null
  const start = Math.floor(scanned / 86400) * 86400 + time
  return start > scanned ? start - 86400 : start
}

function secondsOf(date, time) {
  const found = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(date.trim())
  const seconds = timeOf(time)
  return found && seconds !== null ? Date.UTC(found[1], found[2] - 1, found[3]) / 1000 + seconds : null
}

function timeOf(time) {
  const found = /^(\d{2}):?(\d{2})?:?(\d{2}(?:\.\d+)?)?$/.exec(time.trim())
  return found ? Number(found[1]) * 3600 + Number(found[2] ?? 0) * 60 + Number(found[3] ?? 0) : null
}

const hex = (number, digits) => number.toString(16).toUpperCase().padStart(digits, "0")

// The tag of a private element by its creator, who may have reserved any block of the group.
function privateTag(dataset, [family, creator], element) {
  for (let block = 0x10; block <= 0xff; block += 1) {
    if (text(dataset, `${hex(family, 4)}00${hex(block, 2)}`).trim() === creator) return `${hex(family, 4)}${hex(block, 2)}${hex(element, 2)}`
  }
  return ""
}

function privateText(dataset, owner, element) { return text(dataset, privateTag(dataset, owner, element)) }

function privateNumber(dataset, owner, element) {
  const found = dataset[privateTag(dataset, owner, element)]
  if (found?.InlineBinary) return Number(atob(found.InlineBinary).trim())
  return Number(found?.Value?.[0] ?? NaN)
}
