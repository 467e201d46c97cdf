// Content items of structured reports (PS3.3 section C.17.3) in words.
import { number, numbers, text, value, values } from "../dicom.js"
import { codeElement, codeOf, unitText } from "./codes.js"
import { element } from "./element.js"
import { dateText, dateTimeText, nameText, timeText } from "./moments.js"

const MOST_POINTS = 6
const SHAPES = {
  POINT: "Point", MULTIPOINT: "Points", POLYLINE: "Line through", POLYGON: "Polygon through", CIRCLE: "Circle, its centre and a point on it,",
  ELLIPSE: "Ellipse, the ends of its axes", ELLIPSOID: "Ellipsoid, the ends of its axes",
}
const RELATIONS = {
  "HAS OBS CONTEXT": "context", "HAS ACQ CONTEXT": "acquisition", "HAS CONCEPT MOD": "modifier", "HAS PROPERTIES": "property",
  "INFERRED FROM": "inferred from", "SELECTED FROM": "selected from",
}
const RANGES = { POINT: "At", MULTIPOINT: "At", SEGMENT: "From … to", MULTISEGMENT: "Parts", BEGIN: "From", END: "Until" }

export const typeOf = (item) => text(item, "0040A040")
export const childrenOf = (item) => values(item, "0040A730")
export const nameOf = (item) => codeOf(item, "0040A043")

// How an item belongs to the one that it lies in; nothing where that contains it.
export function relationOf(item) {
  const relation = text(item, "0040A010")
  return relation === "CONTAINS" ? "" : RELATIONS[relation] ?? relation.toLowerCase()
}

// The place of an item that another one refers to, such as 1.3.2; null where it is a whole item.
export function targetOf(item) {
  const target = numbers(item, "0040DB73")
  return target.length ? target.join(".") : null
}

const withoutValue = (words = "no value") => element("em", {}, words)

// The number of a NUM item with its unit and what qualifies it, as text.
export function numberText(item) {
  const measured = value(item, "0040A300")
  const qualifier = codeOf(item, "0040A301")
  if (!measured) return qualifier ? `no value: ${qualifier.meaning}` : "no value"
  const unit = unitText(codeOf(measured, "004008EA"))
  const shown = values(measured, "0040A30A").map(String).join(", ") || values(measured, "0040A161").map(String).join(", ")
  return [shown || "no value", unit].filter(Boolean).join(" ") + (qualifier ? ` (${qualifier.meaning})` : "")
}

function numberElement(item) {
  const unit = codeOf(value(item, "0040A300"), "004008EA")
  return element("span", unit ? { title: `${unit.meaning} (${unit.value}, ${unit.scheme})` } : {}, numberText(item))
}

function textElement(item) {
  const content = text(item, "0040A160")
  return content ? element("span", { className: "report-text" }, content) : withoutValue()
}

const SHOWN = {
  TEXT: textElement,
  CODE: (item) => { const code = codeOf(item, "0040A168"); return code ? codeElement(code) : withoutValue() },
  NUM: numberElement,
  PNAME: (item) => nameText(value(item, "0040A123")) || withoutValue(),
  DATE: (item) => dateText(text(item, "0040A121")) || withoutValue(),
  TIME: (item) => timeText(text(item, "0040A122")) || withoutValue(),
  DATETIME: (item) => dateTimeText(text(item, "0040A120")) || withoutValue(),
  UIDREF: (item) => element("span", { className: "uid" }, text(item, "0040A124") || withoutValue()),
  SCOORD: (item) => coordinates(item, 2, "columns, rows"),
  SCOORD3D: (item) => coordinates(item, 3, "mm"),
  TCOORD: temporal,
  CONTAINER: () => "",
}

// The value of an item that is no reference to another object, as text or an element.
export function valueOf(item) {
  const type = typeOf(item)
  const show = SHOWN[type]
  if (show) return show(item)
  return element("em", {}, type ? `a value of the type ${type}, which is not shown here` : "an item without a value type")
}

// Points of a graphic of two or three coordinates each; those that are not whole numbers of points are not shown.
export function pointsOf(item, dimensions) {
  const flat = numbers(item, "00700022")
  if (!flat.length || flat.length % dimensions || !flat.every(Number.isFinite)) return null
  return Array.from({ length: flat.length / dimensions }, (_, index) => flat.slice(index * dimensions, (index + 1) * dimensions))
}

export const shapeOf = (item) => text(item, "00700023")

function coordinates(item, dimensions, unit) {
  const points = pointsOf(item, dimensions)
  const shape = SHAPES[shapeOf(item)] ?? shapeOf(item)
  if (!points) return element("em", {}, `${shape || "coordinates"}: its points are not complete`)
  const rounded = (point) => `(${point.map((one) => Number(one.toFixed(2))).join(", ")})`
  const more = points.length > MOST_POINTS ? ` … and ${points.length - MOST_POINTS} more points` : ""
  return `${shape} ${points.slice(0, MOST_POINTS).map(rounded).join(" ")}${more}, in ${unit}`
}

function temporal(item) {
  const range = RANGES[text(item, "0040A130")] ?? text(item, "0040A130")
  const samples = numbers(item, "0040A132")
  const offsets = numbers(item, "0040A138")
  const moments = values(item, "0040A13A").map((one) => dateTimeText(String(one)))
  const places = samples.length ? `sample ${samples.join(", ")}` : offsets.length ? `${offsets.join(", ")} s` : moments.join(", ")
  return places ? `${range}: ${places}` : withoutValue()
}

// What an IMAGE, WAVEFORM or COMPOSITE item refers to.
export function referenceOf(item) {
  const referred = value(item, "00081199")
  const sop = text(referred, "00081155")
  if (!sop) return null
  const channels = numbers(referred, "0040A0B0")
  return {
    sop,
    kind: text(referred, "00081150"),
    frames: numbers(referred, "00081160").filter(Number.isFinite),
    segments: numbers(referred, "0062000B").filter(Number.isFinite),
    // Pairs of multiplex group and channel.
    channels: Array.from({ length: Math.floor(channels.length / 2) }, (_, index) => channels.slice(2 * index, 2 * index + 2)),
    state: text(value(referred, "00081199"), "00081155"),
  }
}

