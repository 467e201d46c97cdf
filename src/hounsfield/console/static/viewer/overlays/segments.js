// What a segmentation says of itself (PS3.3 A.51, C.8.20): its segments, and where its frames lie on those of a series.
import { css, distinct, fromCielab, isColour } from "./colours.js"
import { framesOf, groupItems, number, numbers, text, value, values } from "../dicom.js"
import { colourAt } from "../lookup_table.js"
import { IDENTITY, areParallel, dot, frameOfReference, matrixBetween, planeOf, stepOf } from "./planes.js"

const meaning = (dataset, tag) => text(value(dataset, tag), "00080104")

// Segments; frames with their segment and the images that they were made of; what is wrong with them in words.
export function readSegmentation(dataset, path) {
  const kind = text(dataset, "00620001")
  const isLabelmap = kind === "LABELMAP" || text(dataset, "00080016").endsWith(".66.7")
  if (!isLabelmap && kind !== "BINARY" && kind !== "FRACTIONAL") throw new Error(`This segmentation is of a type that is not known here: ${kind || "none"}.`)
  const problems = []
  const frames = framesOf(dataset, path)
  // Colours of the labels themselves, where the file has a palette of them.
  const palette = isLabelmap && frames[0].isPalette && frames[0].palette ? (key) => colourAt(frames[0].palette, key) : null
  const segments = new Map()
  for (const item of values(dataset, "00620002")) {
    const key = number(item, "00620004")
    if (!Number.isInteger(key)) { problems.push("A segment without a number is left out."); continue }
    if (segments.has(key)) { problems.push(`There is more than one segment ${key}: the first counts.`); continue }
    segments.set(key, segmentOf(item, key, palette))
  }
  if (!segments.size) throw new Error("This segmentation describes no segment.")
  const background = number(dataset, "00280120") ?? 0
  if (isLabelmap) segments.delete(background)
  const layers = frames.map((frame) => ({ frame, segment: isLabelmap ? null : segmentNumberOf(frame), sources: sourcesOf(frame) }))
  return { dataset, isLabelmap, background, segments, layers: isLabelmap ? layers : described(layers, segments, problems), most: kind === "FRACTIONAL" ? number(dataset, "0062000E") || 255 : 1, problems }
}

function segmentOf(item, key, palette) {
  const lab = numbers(item, "0062000D")
  const type = meaning(item, "0062000F")
  const label = text(item, "00620005")
  const name = label || type || `Segment ${key}`
  const algorithm = [text(item, "00620008"), text(item, "00620009")].filter(Boolean).join(", ")
  const detail = [type !== name && type, algorithm].filter(Boolean).join(" · ")
  const colour = palette?.(key) ?? (isColour(lab) ? fromCielab(lab) : distinct(key))
  return { key, name, detail, colour, css: css(colour), isVisible: true }
}

const segmentNumberOf = ({ dataset, index }) => number(groupItems(dataset, index, "0062000A")[0], "0062000B")

// The images that a frame was made of: instance, and which of its frames where it says so.
function sourcesOf({ dataset, index }) {
  return groupItems(dataset, index, "00089124")
    .flatMap((derivation) => values(derivation, "00082112"))
    .map((source) => ({ sop: text(source, "00081155"), numbers: numbers(source, "00081160") }))
    .filter(({ sop }) => sop)
}

// Leaves out frames of segments that the file does not describe.
function described(layers, segments, problems) {
  const missing = new Map()
  const kept = layers.filter(({ segment }) => {
    if (segments.has(segment)) return true
    missing.set(segment, (missing.get(segment) ?? 0) + 1)
    return false
  })
  for (const [segment, count] of missing) {
    problems.push(segment === undefined ? `${framesIn(count)} no segment: left out.` : `${framesIn(count)} segment ${segment}, which the file does not describe: left out.`)
  }
  return kept
}

const framesIn = (count) => (count === 1 ? "1 frame names" : `${count} frames name`)

const REASONS = {
  frameOfReference: "its frame of reference is not that of these images",
  orientation: "its planes are not parallel to these images",
  size: "it has another size than these images, and the files do not say where it lies",
  place: "it lies elsewhere than the images that it names",
  absent: "none of these images is in its place",
}

// Which frames lie on which image, and how: a map of lists by image; what does not fit is told in words.
export function layOver({ layers, problems }, images) {
  if (!layers.length) throw new Error("This segmentation has no frame that can be laid over images.")
  const found = new Map(images.map((image) => [image, []]))
  const reasons = new Map()
  const step = stepOf(layers.map(({ frame }) => frame)) || stepOf(images)
  const bySop = Map.groupBy(images, ({ sop }) => sop)
  const loose = []
  for (const layer of layers) {
    const named = layer.sources.flatMap(({ sop, numbers: wanted }) => (bySop.get(sop) ?? []).filter(({ index }) => !wanted.length || wanted.includes(index + 1)))
    if (!named.length) { loose.push(layer); continue }
    const placed = [...new Set(named)].map((image) => ({ image, ...placement(layer.frame, image, { step, isNamed: true }) }))
    const fitting = placed.filter(({ matrix }) => matrix)
    for (const { image, matrix } of fitting) found.get(image).push({ ...layer, matrix })
    if (!fitting.length) count(reasons, placed[0].why)
  }
  placeLoose(loose, images, step, found, reasons)
  for (const parts of found.values()) parts.sort((one, other) => (one.segment ?? 0) - (other.segment ?? 0))
  const lost = [...reasons.values()].reduce((sum, one) => sum + one, 0)
  if (lost === layers.length) throw new Error(`This segmentation cannot be laid over these images: ${REASONS[[...reasons.keys()][0]]}.`)
  for (const [why, many] of reasons) problems.push(`${many === 1 ? "1 frame is" : `${many} frames are`} not laid over these images: ${REASONS[why]}.`)
  return found
}

const count = (reasons, why) => reasons.set(why, (reasons.get(why) ?? 0) + 1)

// How a frame lies on an image, or why it does not.
function placement(frame, image, { step, isNamed }) {
  const [own, other] = [planeOf(frame), planeOf(image)]
  const [ownReference, otherReference] = [frameOfReference(frame), frameOfReference(image)]
  if (ownReference && otherReference && ownReference !== otherReference) return { why: "frameOfReference" }
  if (!own || !other) {
    if (!isNamed) return { why: "absent" }
    return frame.rows === image.rows && frame.columns === image.columns ? { matrix: IDENTITY } : { why: "size" }
  }
  if (!isNamed && (!ownReference || !otherReference)) return { why: "frameOfReference" }
  if (!areParallel(own, other)) return { why: "orientation" }
  const distance = Math.abs(dot(own.position, other.normal) - dot(other.position, other.normal))
  if (distance > step / 2 + 1e-3) return { why: isNamed ? "place" : "absent" }
  return { matrix: matrixBetween(own, other, frame), distance }
}

// Frames that name no image of these are laid over by their place: the nearest of each segment within half of its slice distance.
function placeLoose(layers, images, step, found, reasons) {
  for (const group of Map.groupBy(layers, ({ segment }) => segment).values()) {
    let isPlaced = false
    let why = null
    for (const image of images) {
      let best = null
      for (const layer of nearby(group, image, step)) {
        const result = placement(layer.frame, image, { step, isNamed: false })
        why ??= result.why
        if (result.matrix && (!best || result.distance < best.distance - 1e-6)) best = { layer, ...result }
      }
      if (best) { found.get(image).push({ ...best.layer, matrix: best.matrix }); isPlaced = true }
    }
    // One that lies between two images is the nearest of none; that is no fault of its file.
    if (!isPlaced) for (const _ of group) count(reasons, why ?? "absent")
  }
}

// Of frames that lie in parallel those about as high as an image; one of them where none is, so that it is told why.
function nearby(layers, image, step) {
  const plane = planeOf(image)
  if (!plane || layers.length < 4) return layers
  const place = dot(plane.position, plane.normal)
  const near = layers.filter(({ frame }) => { const own = planeOf(frame); return own && Math.abs(dot(own.position, plane.normal) - place) <= step })
  return near.length ? near : layers.slice(0, 1)
}
