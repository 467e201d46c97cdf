// Regions of a structure set (PS3.3 A.19, C.8.8.5, C.8.8.6), and on which images of a series their contours lie.
import { number, numbers, text, value, values } from "../dicom.js"
import { css, distinct, isColour } from "./colours.js"
import { areParallel, dot, frameOfReference, placeIn, planeOf, stepOf } from "./planes.js"

const TYPES = new Set(["CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "OPEN_PLANAR", "POINT"])
// How far, in millimetres, the points of a contour may lie off its plane.
const FLATNESS = 0.1

// Regions with their contours, whose points are millimetres in the patient; and what is wrong with them in words.
export function readStructures(dataset) {
  const problems = []
  const regions = new Map()
  const kinds = new Map(values(dataset, "30060080").map((item) => [number(item, "30060084"), text(item, "300600A4")]))
  for (const item of values(dataset, "30060020")) {
    const key = number(item, "30060022")
    if (!Number.isInteger(key) || regions.has(key)) { problems.push("A region has no number of its own: left out."); continue }
    const detail = [kinds.get(key), text(item, "30060036")].filter(Boolean).join(" · ")
    regions.set(key, { key, name: text(item, "30060026") || `Region ${key}`, detail, colour: distinct(regions.size), reference: text(item, "30060024"), contours: [], isVisible: true })
  }
  for (const item of values(dataset, "30060039")) {
    const key = number(item, "30060084")
    const region = regions.get(key)
    if (!region) { problems.push(`There are contours of region ${key ?? "without a number"}, which the file does not describe: left out.`); continue }
    const colour = numbers(item, "3006002A")
    if (isColour(colour)) region.colour = colour.map((part) => Math.min(255, Math.max(0, Math.round(part))))
    addContours(region, values(item, "30060040"), problems)
  }
  for (const region of regions.values()) {
    region.css = css(region.colour)
    if (!region.contours.length) region.detail = [region.detail, "no contours"].filter(Boolean).join(" · ")
  }
  if (!regions.size) throw new Error("This structure set describes no region.")
  return { regions, problems }
}

function addContours(region, items, problems) {
  let malformed = 0
  const strange = new Set()
  for (const item of items) {
    const type = text(item, "30060042")
    const points = Float64Array.from(numbers(item, "30060050"))
    const said = number(item, "30060046")
    if (!TYPES.has(type)) strange.add(type || "none")
    else if (!points.length || points.length % 3 || !points.every(Number.isFinite) || (said !== undefined && said * 3 !== points.length)) malformed += 1
    else region.contours.push({ type, points })
  }
  if (malformed) problems.push(`${countOf(malformed)} of ${region.name} ${malformed === 1 ? "is" : "are"} malformed: left out.`)
  if (strange.size) problems.push(`${region.name} has contours of a type that is not shown: ${[...strange].join(", ")}.`)
}

const countOf = (many) => (many === 1 ? "1 contour" : `${many} contours`)

const REASONS = {
  frameOfReference: "in another frame of reference than these images",
  oblique: "in planes that are not parallel to these images",
  outside: "in places where there is no image",
}

// Which contours lie on which image: a map of lists by image, points in its columns and rows.
export function layContours({ regions, problems }, images, reference) {
  const found = new Map()
  const groups = parallelGroups(images)
  if (!groups.length) throw new Error("These images do not say where in the patient they lie: contours cannot be laid over them")
  let shown = 0
  const all = new Map()
  for (const region of regions.values()) {
    const reasons = new Map()
    const own = region.reference || reference
    for (const contour of region.contours) {
      const place = placeOf(contour, groups, own)
      if (place.why) { reasons.set(place.why, (reasons.get(place.why) ?? 0) + 1); continue }
      shown += 1
      add(found, region, contour, place)
    }
    for (const [why, many] of reasons) {
      problems.push(`${countOf(many)} of ${region.name} ${many === 1 ? "lies" : "lie"} ${REASONS[why]}: not shown.`)
      all.set(why, (all.get(why) ?? 0) + many)
    }
  }
  if (!shown) throw new Error(all.size ? `These contours cannot be laid over these images: they lie ${REASONS[[...all.keys()][0]]}.` : "This structure set has no contours.")
  return found
}

// Images in groups of those that lie in parallel, each in the order of their places along the normal.
function parallelGroups(images) {
  const groups = []
  for (const image of images) {
    const plane = planeOf(image)
    if (!plane) continue
    let group = groups.find((one) => areParallel(one.plane, plane) && one.reference === frameOfReference(image))
    if (!group) groups.push(group = { plane, reference: frameOfReference(image), images: [] })
    group.images.push({ image, place: dot(plane.position, group.plane.normal) })
  }
  for (const group of groups) {
    group.images.sort((one, other) => one.place - other.place)
    group.step = stepOf(group.images.map(({ image }) => image)) || 1
  }
  return groups
}

// The nearest image of those in parallel to a contour, within half of their distance.
function placeOf({ points }, groups, reference) {
  let why = "frameOfReference"
  for (const group of groups) {
    if (!reference || group.reference !== reference) continue
    if (why === "frameOfReference") why = "oblique"
    let [least, most] = [Infinity, -Infinity]
    for (let at = 0; at < points.length; at += 3) {
      const place = points[at] * group.plane.normal[0] + points[at + 1] * group.plane.normal[1] + points[at + 2] * group.plane.normal[2]
      if (place < least) least = place
      if (place > most) most = place
    }
    if (most - least > FLATNESS) continue
    why = "outside"
    const middle = (least + most) / 2
    const nearest = nearestOf(group.images, middle)
    const distance = Math.abs(nearest.place - middle)
    if (distance <= group.step / 2 + 1e-3) return { image: nearest.image, distance }
  }
  return { why }
}

function nearestOf(images, place) {
  let [low, high] = [0, images.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (images[middle].place < place) low = middle + 1
    else high = middle
  }
  const before = images[low - 1]
  return before && place - before.place <= images[low].place - place ? before : images[low]
}

// Of a region only the contours of one plane are on an image, the nearest one: contours of two would be taken for holes.
function add(found, region, contour, { image, distance }) {
  if (!found.has(image)) found.set(image, new Map())
  const onImage = found.get(image)
  if (!onImage.has(region.key)) onImage.set(region.key, { key: region.key, distance: Infinity, contours: [], points: [] })
  const entry = onImage.get(region.key)
  const drawn = { type: contour.type, places: placesIn(planeOf(image), contour.points) }
  if (contour.type === "POINT") { entry.points.push(drawn); return }
  if (distance > entry.distance + FLATNESS) return
  if (distance < entry.distance - FLATNESS) entry.contours = []
  entry.distance = Math.min(distance, entry.distance)
  entry.contours.push(drawn)
}

// Columns and rows of points, one after the other.
function placesIn(plane, points) {
  const places = new Float64Array((points.length / 3) * 2)
  for (let at = 0, to = 0; at < points.length; at += 3, to += 2) {
    const [column, row] = placeIn(plane, points.subarray(at, at + 3))
    places[to] = column
    places[to + 1] = row
  }
  return places
}

export const referenceOf = (dataset) => text(dataset, "00200052") || text(value(dataset, "30060010"), "00200052")
