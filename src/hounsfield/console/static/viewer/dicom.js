// DICOM JSON (PS3.18 annex F) as the viewer reads it: attributes by tag, functional groups of multi-frame images, geometry.

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

// The item of a functional group macro for a frame: its own, else the shared one, else the data set itself.
function group(dataset, frame, tag) {
  const own = value(values(dataset, FRAME_GROUPS)[frame], tag)
  return own ?? value(value(dataset, SHARED_GROUPS), tag) ?? dataset
}

// Everything the viewer has to know of each frame of an instance, in their order.
export function framesOf(dataset, seriesPath) {
  const count = number(dataset, "00280008") ?? 1
  const sop = text(dataset, "00080018")
  return Array.from({ length: count }, (_, index) => frameOf(dataset, index, `${seriesPath}/instances/${encodeURIComponent(sop)}/frames/${index + 1}`))
}

function frameOf(dataset, index, path) {
  const transformation = group(dataset, index, "00289145")
  const voi = group(dataset, index, "00289132")
  const measures = group(dataset, index, "00289110")
  const position = numbers(group(dataset, index, "00209113"), "00200032")
  const orientation = numbers(group(dataset, index, "00209116"), "00200037")
  return {
    path,
    dataset,
    index,
    sop: text(dataset, "00080018"),
    instanceNumber: number(dataset, "00200013"),
    modality: text(dataset, "00080060"),
    syntax: text(dataset, "00083002"),
    rows: number(dataset, "00280010") ?? 0,
    columns: number(dataset, "00280011") ?? 0,
    samplesPerPixel: number(dataset, "00280002") ?? 1,
    photometric: text(dataset, "00280004"),
    bitsAllocated: number(dataset, "00280100") ?? 16,
    bitsStored: number(dataset, "00280101") ?? 16,
    highBit: number(dataset, "00280102") ?? (number(dataset, "00280101") ?? 16) - 1,
    isSigned: number(dataset, "00280103") === 1,
    slope: number(transformation, "00281053") || 1,
    intercept: number(transformation, "00281052") ?? 0,
    unit: text(transformation, "00281054"),
    hasLookupTable: Boolean(value(dataset, "00283000") || value(dataset, "00283010")),
    windows: windowsOf(voi),
    shape: text(dataset, "20500020"),
    padding: paddingOf(dataset),
    position: position.length === 3 && position.every(Number.isFinite) ? position : null,
    orientation: orientation.length === 6 && orientation.every(Number.isFinite) ? orientation : null,
    ...spacingOf(dataset, measures),
  }
}

function windowsOf(voi) {
  const centers = numbers(voi, "00281050")
  const widths = numbers(voi, "00281051")
  const names = values(voi, "00281055")
  const curve = text(voi, "00281056") || "LINEAR"
  return centers
    .map((center, index) => ({ center, width: widths[index], curve, name: names[index] ?? `Window ${index + 1}` }))
    .filter(isUsable)
}

export function isUsable({ center, width, curve }) {
  return Number.isFinite(center) && Number.isFinite(width) && (curve === "LINEAR" ? width >= 1 : width > 0)
}

function paddingOf(dataset) {
  const low = number(dataset, "00280120")
  if (low === undefined) return null
  const other = number(dataset, "00280121") ?? low
  return [Math.min(low, other), Math.max(low, other)]
}

// Millimetres between rows and between columns, and which attribute says so: only PixelSpacing is calibrated in the patient.
function spacingOf(dataset, measures) {
  for (const [tag, source] of [["00280030", "PixelSpacing"], ["00181164", "ImagerPixelSpacing"], ["00182010", "NominalScannedPixelSpacing"]]) {
    const found = numbers(tag === "00280030" ? measures : dataset, tag)
    if (found.length === 2 && found.every((one) => one > 0)) return { spacing: found, spacingSource: source }
  }
  return { spacing: null, spacingSource: null }
}

// Frames of a series in the order in which they are scrolled: by place along the normal where all lie in parallel, else by number.
export function sorted(frames) {
  const first = frames[0]
  const along = frames.length > 1 && first.orientation && frames.every((frame) => frame.position && isParallel(frame, first))
  if (along) {
    const normal = normalOf(first.orientation)
    const place = new Map(frames.map((frame) => [frame, placeAlong(frame, normal)]))
    if (new Set(place.values()).size === frames.length) return [...frames].sort((one, other) => place.get(one) - place.get(other))
  }
  return [...frames].sort((one, other) => (one.instanceNumber ?? 0) - (other.instanceNumber ?? 0) || one.index - other.index)
}

export const isParallel = (one, other) => one.orientation?.every((cosine, index) => Math.abs(cosine - other.orientation[index]) < 1e-3)
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
