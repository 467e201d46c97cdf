// Annotations of slides (Microscopy Bulk Simple Annotations, PS3.3 C.37.1): groups of points, lines and areas over the tiles.
import { number, numbers, text, value, values } from "../dicom.js"
import { bytesOf } from "../documents/bulk.js"
import { css, distinct, fromCielab, isColour } from "../overlays/colours.js"

export const ANNOTATIONS = "1.2.840.10008.5.1.4.1.1.91.1"
// Segments have the colours of small numbers.
const FIRST_COLOUR = 100
// More points than these of one group are not drawn: the view would stand still.
const MOST_POINTS = 5_000_000

// Which series of slides a data set of annotations is about.
export const seriesOf = (dataset) => text(value(dataset, "00081115"), "0020000E")

// Opens the slide that annotations are about, with them.
export async function open({ page, datasets, viewport }) {
  const uid = datasets.map(seriesOf).find((found) => page.series.has(found)) ?? slideOfTheStudy(page, datasets[0])
  if (!uid) throw new Error("The slide of these annotations is not in this study, or you may not see it.")
  await page.openSeries(uid, viewport)
  if (!viewport.guest?.showAnnotations) throw new Error("The slide of these annotations is not shown.")
  await viewport.guest.showAnnotations({ annotations: true })
}

function slideOfTheStudy(page, dataset) {
  const frame = text(dataset, "00200052")
  for (const [uid, series] of page.series) if (text(series, "00080060") === "SM" && frame && text(series, "00200052") === frame) return uid
  return null
}

// The annotations of the study that are about a slide.
export async function annotationsOf(page, slide) {
  const found = []
  for (const [uid, series] of page.series) {
    if (text(series, "00080060") !== "ANN") continue
    const datasets = await page.datasetsOf(uid)
    for (const dataset of datasets) if (text(dataset, "00080016") === ANNOTATIONS && isAbout(dataset, slide)) found.push(...groupsOf(page, dataset, slide, found.length))
  }
  return found
}

function isAbout(dataset, slide) {
  const named = values(dataset, "00081115").flatMap((series) => values(series, "0008114A")).concat(values(dataset, "00081140")).map((item) => text(item, "00081155"))
  const own = slide.levels.flatMap(({ images }) => images.flatMap(({ parts }) => parts.map(({ instance }) => instance.sop)))
  if (named.length) return named.some((sop) => own.includes(sop))
  return text(dataset, "00200052") === text(slide.dataset, "00200052")
}

function groupsOf(page, dataset, slide, before) {
  const isFlat = text(dataset, "006A0001") === "2D"
  // Places in a matrix are in that of the image that is named.
  const image = isFlat ? slide.levels.flatMap((level) => level.images.map((one) => ({ level, one }))).find(({ one }) => namedIn(dataset, one)) : null
  let problem = ""
  if (text(dataset, "00480301") === "FRAME") problem = "Its places are those of single frames, not of the slide."
  else if (isFlat && !image) problem = "The image that it was drawn on is not here."
  else if (!isFlat && !slide.slidePoint([0, 0])) problem = "The slide does not say where it lies."
  const toMatrix = isFlat
    ? ([column, row]) => [column * image.level.scale[0] + image.level.offset[0], row * image.level.scale[1] + image.level.offset[1]]
    : (place) => slide.matrixPoint(place)
  return values(dataset, "006A0002").map((item, index) => new AnnotationGroup(page, item, { isFlat, problem, toMatrix, number: before + index }))
}

const namedIn = (dataset, image) => {
  const named = values(dataset, "00081140").concat(values(dataset, "00081115").flatMap((series) => values(series, "0008114A"))).map((item) => text(item, "00081155"))
  return image.parts.some(({ instance }) => named.includes(instance.sop))
}

class AnnotationGroup {
  constructor(page, item, { isFlat, problem, toMatrix, number: order }) {
    Object.assign(this, { page, item, problem, toMatrix })
    const said = numbers(item, "0062000D")
    this.colour = css(isColour(said) ? fromCielab(said) : distinct(FIRST_COLOUR + order))
    this.label = text(item, "006A0005") || "Annotations"
    this.meaning = text(value(item, "006A000A"), "00080104")
    this.graphicType = text(item, "00700023")
    this.count = number(item, "006A000C") ?? 0
    this.dimensions = isFlat || number(item, "006A0010") !== undefined ? 2 : 3
    this.paths = text(item, "006A000D") === "NO" ? values(item, "006A000E").map(String) : null
    this.isShown = false
    this.shapes = null
  }

  // Reads coordinates, which may be elsewhere, into places of the largest matrix.
  async load() {
    if (this.shapes) return
    if (this.problem) throw new Error(this.problem)
    const isDouble = Boolean(this.item["00660022"])
    const bytes = await this.#bytes(isDouble ? "00660022" : "00660016")
    const size = isDouble ? 8 : 4
    if (bytes.byteLength % size) throw new Error("Coordinates are cut off.")
    const data = isDouble ? new Float64Array(bytes) : new Float32Array(bytes)
    if (data.length / this.dimensions > MOST_POINTS) throw new Error(`There are more than ${MOST_POINTS.toLocaleString()} points.`)
    const starts = await this.#starts(data.length)
    this.shapes = starts.map((start, index) => this.#shape(data, start, starts[index + 1] ?? data.length))
  }

  async #bytes(tag) {
    const bytes = await bytesOf(this.page, this.item[tag])
    if (!bytes) throw new Error("Coordinates are missing.")
    return bytes.slice().buffer
  }

  // Where each annotation begins, in values of the coordinates.
  async #starts(length) {
    const { graphicType, dimensions } = this
    const points = { POINT: 1, RECTANGLE: 4, ELLIPSE: 4 }[graphicType]
    if (points) return Array.from({ length: Math.floor(length / (points * dimensions)) }, (_, index) => index * points * dimensions)
    if (graphicType !== "POLYGON" && graphicType !== "POLYLINE") throw new Error(`Graphic Type ${graphicType} is not known.`)
    const starts = [...new Uint32Array(await this.#bytes("00660040"))].map((start) => start - 1)
    if (starts.some((start, index) => start < 0 || start >= length || start % dimensions || (index && start <= starts[index - 1]))) throw new Error("The list of first points is not in order.")
    return starts
  }

  #shape(data, start, end) {
    const places = []
    for (let at = start; at + this.dimensions <= end; at += this.dimensions) places.push(this.toMatrix([data[at], data[at + 1]]))
    const line = this.graphicType === "ELLIPSE" ? ellipse(places) : places
    const [xs, ys] = [0, 1].map((axis) => line.map((place) => place[axis]))
    const least = (list) => list.reduce((one, other) => Math.min(one, other), Infinity)
    const most = (list) => list.reduce((one, other) => Math.max(one, other), -Infinity)
    return { line, box: [least(xs), least(ys), most(xs), most(ys)] }
  }

  isOn(path) { return this.isShown && this.shapes && (!this.paths || this.paths.includes(path)) }
}

// Two ends of the longer axis, then two of the shorter one.
function ellipse([one, other, third, fourth]) {
  const middle = [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2]
  const [long, short] = [[(other[0] - one[0]) / 2, (other[1] - one[1]) / 2], [(fourth[0] - third[0]) / 2, (fourth[1] - third[1]) / 2]]
  return Array.from({ length: 48 }, (_, step) => {
    const angle = (step / 48) * 2 * Math.PI
    return [0, 1].map((axis) => middle[axis] + long[axis] * Math.cos(angle) + short[axis] * Math.sin(angle))
  })
}

// Draws what lies in the view; toScreen leads from the largest matrix to the screen.
export function drawAnnotations(context, groups, { path, toScreen, box }) {
  for (const group of groups) {
    if (!group.isOn(path)) continue
    const isOpen = group.graphicType === "POLYLINE"
    context.strokeStyle = context.fillStyle = group.colour
    context.lineWidth = 2
    context.beginPath()
    for (const { line, box: [left, top, right, bottom] } of group.shapes) {
      if (right < box[0] || left > box[2] || bottom < box[1] || top > box[3]) continue
      if (group.graphicType === "POINT") {
        const [x, y] = toScreen(line[0])
        context.moveTo(x + 3, y)
        context.arc(x, y, 3, 0, 2 * Math.PI)
        continue
      }
      line.forEach((place, index) => { const [x, y] = toScreen(place); if (index) context.lineTo(x, y); else context.moveTo(x, y) })
      if (!isOpen) context.closePath()
    }
    if (group.graphicType === "POINT") context.fill()
    else context.stroke()
  }
}
