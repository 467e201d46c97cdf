// DICOM JSON (PS3.18 annex F) as the viewer reads it: attributes by tag, functional groups of multi-frame images, geometry.
import { modalityTable, palettesOf, voiTables } from "./lookup_table.js"

export const values = (dataset, tag) => dataset?.[tag]?.Value ?? []
export const value = (dataset, tag) => values(dataset, tag)[0]
export const number = (dataset, tag) => {
  const found = value(dataset, tag)
  return found === undefined || found === null ? undefined : Number(found)
}
// An empty value among several is null, which is no number, least of all 0.
export const numbers = (dataset, tag) => values(dataset, tag).map((one) => (one === null ? NaN : Number(one)))
export const text = (dataset, tag) => {
  const found = value(dataset, tag)
  if (found === undefined || found === null) return ""
  if (typeof found === "object") return [found.Alphabetic, found.Ideographic, found.Phonetic].filter(Boolean).join(" ")
  return String(found)
}

const SHARED_GROUPS = "52009229"
const FRAME_GROUPS = "52009230"
const MOST_FRAMES = 1_000_000
const KEPT_DETAILS = 64

// The item of a functional group macro for a frame: its own, else the shared one, else the data set itself.
export function group(dataset, frame, tag) {
  const own = value(values(dataset, FRAME_GROUPS)[frame], tag)
  return own ?? value(value(dataset, SHARED_GROUPS), tag) ?? dataset
}

// All items of a macro whose sequence may have several: those of the frame, else shared ones, else of the data set.
export function groupItems(dataset, frame, tag) {
  const found = [values(dataset, FRAME_GROUPS)[frame], value(dataset, SHARED_GROUPS), dataset].map((item) => values(item, tag))
  return found.find(({ length }) => length) ?? []
}

// The frames of an instance, in their order. There may be a hundred thousand: a frame is two words, and what the viewer has to
// know of it is worked out when somebody asks.
export function framesOf(dataset, seriesPath, most = MOST_FRAMES) {
  const said = number(dataset, "00280008") ?? 1
  const instance = new Instance(dataset, seriesPath)
  const count = Number.isFinite(said) ? Math.min(most, Math.max(1, Math.floor(said))) : 1
  return Array.from({ length: count }, (_, index) => new Frame(instance, index))
}

// The frames of all images of a series, in the order of the data sets. A file may say that it has frames without end: once there
// are as many as a tab can hold, the first of each image is left.
export function framesOfSeries(datasets, seriesPath) {
  let left = MOST_FRAMES
  return datasets.filter((dataset) => value(dataset, "00280010")).flatMap((dataset) => {
    const frames = framesOf(dataset, seriesPath, Math.max(1, left))
    left -= frames.length
    return frames
  })
}

// What the frames of an instance have in common.
export class Instance {
  constructor(dataset, seriesPath) {
    this.dataset = dataset
    this.sop = text(dataset, "00080018")
    this.path = `${seriesPath}/instances/${encodeURIComponent(this.sop)}/frames/`
    this.instanceNumber = number(dataset, "00200013")
    this.modality = text(dataset, "00080060")
    this.syntax = text(dataset, "00083002")
    this.rows = size(dataset, "00280010")
    this.columns = size(dataset, "00280011")
    this.samplesPerPixel = number(dataset, "00280002") ?? 1
    this.photometric = text(dataset, "00280004")
    // Floating point pixel data has Bits Allocated alone (PS3.3 C.7.6.24).
    this.bitsAllocated = number(dataset, "00280100") ?? 16
    this.bitsStored = number(dataset, "00280101") ?? this.bitsAllocated
    this.highBit = number(dataset, "00280102") ?? this.bitsStored - 1
    this.isSigned = number(dataset, "00280103") === 1
    this.isFloat = number(dataset, "00280101") === undefined && (this.bitsAllocated === 32 || this.bitsAllocated === 64)
    this.isInterleaved = number(dataset, "00280006") !== 1
    this.shape = text(dataset, "20500020")
    this.padding = paddingOf(dataset)
    this.hasOverlayBits = Object.keys(dataset).some((tag) => /^60..0100$/.test(tag) && number(dataset, tag) > 1)
    this.details = new Map()
  }

  // The smallest and the largest stored value that there can be.
  get range() {
    if (this.isFloat) return [-Infinity, Infinity]
    const span = 2 ** this.bitsStored
    return this.isSigned ? [-span / 2, span / 2 - 1] : [0, span - 1]
  }

  // Of a palette the colours; of a supplemental one those of the values that are no shades of grey.
  get palette() {
    if (this.tables !== undefined) return this.tables
    const isSupplemental = ["COLOR", "MIXED"].includes(text(this.dataset, "00089205"))
    this.tables = this.photometric === "PALETTE COLOR" || (isSupplemental && this.samplesPerPixel === 1) ? palettesOf(this.dataset, this.range) : null
    return this.tables
  }

  hasOwnGroups(index) { return Boolean(values(this.dataset, FRAME_GROUPS)[index]) }

  detailsOf(index) {
    const key = this.hasOwnGroups(index) ? index : -1
    let found = this.details.get(key)
    if (!found) {
      found = this.#read(index)
      if (this.details.size >= KEPT_DETAILS) this.details.delete(this.details.keys().next().value)
      this.details.set(key, found)
    }
    return found
  }

  #read(index) {
    const { dataset } = this
    const transformation = group(dataset, index, "00289145")
    const table = modalityTable(transformation, this.range) ?? modalityTable(dataset, this.range)
    const slope = number(transformation, "00281053")
    const intercept = number(transformation, "00281052")
    const found = {
      slope: Number.isFinite(slope) && slope !== 0 ? slope : 1,
      intercept: Number.isFinite(intercept) ? intercept : 0,
      modalityTable: table,
      unit: unitOf(dataset, transformation, table),
      ...spacingOf(dataset, group(dataset, index, "00289110")),
    }
    const ends = table ? [0, table.largest] : this.range.map((one) => one * found.slope + found.intercept).sort((one, other) => one - other)
    const windows = [group(dataset, index, "00289132"), dataset].map((voi) => [...voiTables(voi, ends), ...windowsOf(voi)]).find(({ length }) => length) ?? []
    return inDose(dataset, { ...found, windows })
  }
}

const DOSE_UNITS = { GY: "Gy", RELATIVE: "relative" }

// Values of a dose are stored ones times Dose Grid Scaling, in Dose Units (PS3.3 C.8.8.3). Windows of the file are over what is
// stored: the same stored value is as bright over the dose.
function inDose(dataset, found) {
  const scaling = number(dataset, "3004000E")
  if (text(dataset, "00080060") !== "RTDOSE" || !(scaling > 0 && Number.isFinite(scaling)) || found.modalityTable || found.slope !== 1 || found.intercept !== 0) return found
  const windows = found.windows.map((window) => {
    const { center, width, curve, table } = window
    const shift = !table && curve === "LINEAR" ? 1 : 0
    return {
      ...window,
      center: (center - shift / 2) * scaling,
      // A LINEAR window of a width of 1 is a step.
      width: Math.max(Number.MIN_VALUE, (width - shift || 1e-6) * scaling),
      curve: shift ? "LINEAR_EXACT" : curve,
      ...(table && { table: Object.create(table, { at: { value: (dose) => table.at(Math.round(dose / scaling)) } }) }),
    }
  })
  const said = text(dataset, "30040002")
  return { ...found, slope: scaling, unit: DOSE_UNITS[said] ?? said, windows }
}

function size(dataset, tag) {
  const found = number(dataset, tag)
  return Number.isInteger(found) && found > 0 ? found : 0
}

// One frame of an instance; `index` counts from 0.
export class Frame {
  constructor(instance, index) {
    this.instance = instance
    this.index = index
  }

  get path() { return `${this.instance.path}${this.index + 1}` }
  get position() {
    const position = numbers(group(this.dataset, this.index, "00209113"), "00200032")
    return position.length === 3 && position.every(Number.isFinite) ? position : null
  }

  get orientation() {
    const orientation = numbers(group(this.dataset, this.index, "00209116"), "00200037")
    return orientation.length === 6 && orientation.every(Number.isFinite) ? orientation : null
  }

  get hasRealWorldValues() { return groupItems(this.dataset, this.index, "00409096").length > 0 }
  get isPalette() { return this.photometric === "PALETTE COLOR" }
  get hasLookupTable() { return Boolean(this.modalityTable || this.windows.some(({ table }) => table)) }

  // The value after the modality transformation (PS3.3 C.11.1).
  rescaled(stored) {
    const { modalityTable: table, slope, intercept } = this.instance.detailsOf(this.index)
    return table ? table.at(stored) : stored * slope + intercept
  }
}

for (const name of ["dataset", "sop", "instanceNumber", "modality", "syntax", "rows", "columns", "samplesPerPixel", "photometric", "bitsAllocated", "bitsStored", "highBit", "isSigned", "isFloat", "isInterleaved", "shape", "padding", "hasOverlayBits", "palette"]) {
  Object.defineProperty(Frame.prototype, name, { get() { return this.instance[name] } })
}
for (const name of ["slope", "intercept", "modalityTable", "unit", "windows", "spacing", "spacingSource", "spacingWords", "aspect"]) {
  Object.defineProperty(Frame.prototype, name, { get() { return this.instance.detailsOf(this.index)[name] } })
}

const UNITS = { BQML: "Bq/ml", GML: "g/ml", CNTS: "counts", PROPCNTS: "counts", CPS: "counts/s", MGML: "mg/ml", PCNT: "%", OD: "10⁻³ OD", US: "", NONE: "", HU: "HU", Z_EFF: "Z eff", ED: "10²³ e/ml" }

// Rescale Type, Modality LUT Type or Units of PET, as people write them. CT has Hounsfield units unless it says otherwise
// (PS3.3 C.8.2.1).
function unitOf(dataset, transformation, table) {
  const usual = text(dataset, "00080060") === "CT" && value(transformation, "00281053") !== undefined ? "HU" : ""
  const said = table ? text(value(transformation, "00283000") ?? value(dataset, "00283000"), "00283004") : text(transformation, "00281054") || text(dataset, "00541001") || usual
  return UNITS[said] ?? said
}

function windowsOf(voi) {
  const centers = numbers(voi, "00281050")
  const widths = numbers(voi, "00281051")
  const names = values(voi, "00281055")
  const said = text(voi, "00281056")
  const curve = said === "SIGMOID" || said === "LINEAR_EXACT" ? said : "LINEAR"
  return centers
    .map((center, index) => ({ center, width: widths[index], curve, name: names[index] ?? `Window ${index + 1}` }))
    .filter(isUsable)
}

export function isUsable({ center, width, curve }) {
  return Number.isFinite(center) && Number.isFinite(width) && (curve === "LINEAR" ? width >= 1 : width > 0)
}

// Pixel Padding Value, its range limit, and those of floating point. Of signed pixels it is signed, too, though some scanners
// write it as if it were not (PS3.3 C.7.5.1.1.2).
function paddingOf(dataset) {
  const span = number(dataset, "00280103") === 1 ? 2 ** (number(dataset, "00280100") ?? 16) : Infinity
  const own = (said) => (said >= span / 2 && said < span ? said - span : said)
  for (const [tag, limit] of [["00280120", "00280121"], ["00280122", "00280124"], ["00280123", "00280125"]]) {
    const said = number(dataset, tag)
    if (said === undefined || !Number.isFinite(said)) continue
    const low = own(said)
    const other = own(number(dataset, limit) ?? said)
    return [Math.min(low, other), Math.max(low, other)]
  }
  return null
}

// Pixels are neither smaller than atoms nor larger than a kilometre, nor a thousand times as long as wide: such numbers are no
// size, and nothing could be drawn by them.
const LEAST_SIZE = 1e-8
const MOST_SIZE = 1e6
const MOST_ASPECT = 1000

const pair = (dataset, tag) => {
  const found = numbers(dataset, tag)
  if (found.length !== 2 || !found.every((one) => one >= LEAST_SIZE && one <= MOST_SIZE)) return null
  return Math.max(...found) <= MOST_ASPECT * Math.min(...found) ? found : null
}

// Millimetres between rows and between columns, which attribute says so, and what of (PS3.3 section 10.7.1.3).
function spacingOf(dataset, measures) {
  const own = pair(measures, "00280030")
  const imager = pair(dataset, "00181164")
  if (own) {
    const calibration = text(dataset, "00280A02")
    const atDetector = imager && !calibration && own.every((one, index) => one === imager[index])
    const words = calibration ? `mm by PixelSpacing, calibrated by ${calibration.toLowerCase()}` : atDetector ? "mm at the detector (PixelSpacing is ImagerPixelSpacing)" : imager ? "mm by PixelSpacing, not ImagerPixelSpacing" : ""
    return { spacing: own, spacingSource: "PixelSpacing", spacingWords: words, aspect: own[0] / own[1] }
  }
  if (imager) {
    const factor = number(dataset, "00181114")
    if (factor > 0 && Number.isFinite(factor)) {
      const spacing = imager.map((one) => one / factor)
      return { spacing, spacingSource: "ImagerPixelSpacing", spacingWords: `mm by ImagerPixelSpacing, divided by the estimated magnification of ${factor}`, aspect: spacing[0] / spacing[1] }
    }
    return { spacing: imager, spacingSource: "ImagerPixelSpacing", spacingWords: "mm at the detector (ImagerPixelSpacing)", aspect: imager[0] / imager[1] }
  }
  const scanned = pair(dataset, "00182010")
  if (scanned) return { spacing: scanned, spacingSource: "NominalScannedPixelSpacing", spacingWords: "mm on the film (NominalScannedPixelSpacing)", aspect: scanned[0] / scanned[1] }
  const ratio = pair(dataset, "00280034")
  return { spacing: null, spacingSource: null, spacingWords: value(dataset, "00186011") ? "calibrated by region" : "not calibrated", aspect: ratio ? ratio[0] / ratio[1] : 1 }
}

// Frames of a series in the order in which they are scrolled: by place along the normal where all lie in parallel, else by number.
export function sorted(frames) {
  const first = frames[0]
  const shares = (frame) => frame.instance === first.instance && !frame.instance.hasOwnGroups(frame.index)
  // Frames of one instance that say nothing of themselves are in the same place, all of them.
  const alike = frames.length > 1 && shares(first) && shares(frames[1])
  const normal = frames.length > 1 && !alike && first.orientation ? normalOf(first.orientation) : null
  if (normal) {
    const places = new Map()
    for (const frame of frames) {
      const position = frame.position
      if (!position || !isParallel(frame, first)) break
      places.set(frame, position[0] * normal[0] + position[1] * normal[1] + position[2] * normal[2])
    }
    if (places.size === frames.length && new Set(places.values()).size === frames.length) return [...frames].sort((one, other) => places.get(one) - places.get(other))
  }
  return [...frames].sort((one, other) => (one.instanceNumber ?? 0) - (other.instanceNumber ?? 0) || one.index - other.index)
}

export const isParallel = (one, other) => {
  const [own, others] = [one.orientation, other.orientation]
  return Boolean(own && others && own.every((cosine, index) => Math.abs(cosine - others[index]) < 1e-3))
}
// Whether images lie in planes along each other, also where rows and columns lead elsewhere, as of a patient who lies prone.
export const liesAlong = (one, other) => {
  if (!one.orientation || !other.orientation) return false
  const [own, others] = [normalOf(one.orientation), normalOf(other.orientation)]
  return [1, -1].some((way) => own.every((part, axis) => Math.abs(part - way * others[axis]) < 1e-3))
}
export const placeAlong = ({ position }, normal) => position[0] * normal[0] + position[1] * normal[1] + position[2] * normal[2]
export const normalOf = ([a, b, c, d, e, f]) => [b * f - c * e, c * d - a * f, a * e - b * d]

// Letters of the patient's sides towards which a direction leads (PS3.3 C.7.6.1.1.1), the strongest first.
export function letters(direction) {
  const sides = [["L", "R"], ["P", "A"], ["H", "F"]]
  return direction
    .map((part, axis) => ({ size: Math.abs(part), letter: sides[axis][part < 0 ? 1 : 0] }))
    .filter(({ size }) => size > 0.1)
    .sort((one, other) => other.size - one.size)
    .map(({ letter }) => letter)
    .join("")
}
