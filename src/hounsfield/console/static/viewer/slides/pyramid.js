// A whole slide as its data sets describe it (PS3.3 C.8.12.4, C.7.6.17): levels, optical paths, focal planes, and where
// each tile lies.
//
//   instances ─▶ images (a concatenation is one) ─▶ levels, the largest first ─▶ frame of a tile
//
// Lengths are in millimetres, heights of focal planes in micrometres, as the standard has them.
import { Frame, Instance, number, numbers, text, value, values } from "../dicom.js"

export const SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
const PERFRAME = "52009230"
const SHARED = "52009229"
// More planes of an optical path than these nobody focuses through; a file may say that it has billions.
const MOST_PLANES = 10_000

// What an instance of a slide is, by the third value of Image Type.
const flavour = (dataset) => String(values(dataset, "00080008")[2] ?? "VOLUME").toUpperCase()
const isTilesOfTheSlide = (dataset) => !["LABEL", "OVERVIEW", "LOCALIZER"].includes(flavour(dataset))

export class Slide {
  constructor(datasets, seriesPath) {
    this.path = seriesPath
    this.notes = []
    const slides = datasets.filter((dataset) => text(dataset, "00080016") === SLIDE && number(dataset, "00280010"))
    this.beside = slides.filter((dataset) => flavour(dataset) !== "VOLUME" && (number(dataset, "00280008") ?? 1) === 1).map((dataset) => ({ name: flavour(dataset), dataset }))
    const images = joined(slides.filter(isTilesOfTheSlide), this.notes).map((parts) => new TiledImage(parts, seriesPath, this.notes))
    this.#arrange(images)
  }

  #arrange(images) {
    const base = images.filter(({ isThumbnail }) => !isThumbnail).reduce((one, other) => (!one || other.columns > one.columns ? other : one), null)
    if (!base) throw new Error("This series has no image of the whole slide.")
    this.base = base
    this.dataset = base.dataset
    const levels = new Map()
    for (const image of images) {
      const reason = image.misfit(base)
      if (reason) { this.notes.push(`${image.columns} × ${image.rows} is left out: ${reason}`); continue }
      // A picture of the whole stands for the smallest level where there is none of its size.
      if (image.isThumbnail && images.some((other) => !other.isThumbnail && other.columns <= image.columns * 1.5)) continue
      const key = `${image.columns}×${image.rows}`
      if (!levels.has(key)) levels.set(key, new Level(image, base))
      levels.get(key).images.push(image)
    }
    this.levels = [...levels.values()].sort((one, other) => other.columns - one.columns)
    const found = new Map()
    for (const image of images) for (const path of image.paths) if (!found.has(path.id)) found.set(path.id, path)
    this.paths = [...found.values()].filter(({ id }) => this.levels[0].planesOf(id).length)
  }

  // Heights of the focal planes of an optical path at the largest level.
  planesOf(pathId) { return this.levels[0].planesOf(pathId) }

  get width() { return this.base.columns * this.base.spacing[1] }
  get height() { return this.base.rows * this.base.spacing[0] }
  get isCalibrated() { return this.base.isCalibrated }

  // Millimetres in the slide's coordinate system of a place in the largest matrix, whose first pixel begins at 0
  // (PS3.3 C.8.12.2.1.1: the origin is the centre of that pixel); null where the file does not say.
  slidePoint([column, row]) {
    const { origin, orientation, spacing, isCalibrated } = this.base
    if (!origin || !orientation || !isCalibrated) return null
    const [right, down] = [(column - 0.5) * spacing[1], (row - 0.5) * spacing[0]]
    return [0, 1].map((axis) => origin[axis] + right * orientation[axis] + down * orientation[axis + 3])
  }

  // The place in the largest matrix of millimetres in the slide's coordinate system.
  matrixPoint([x, y]) {
    const { origin, orientation, spacing } = this.base
    const away = [x - origin[0], y - origin[1]]
    const along = (from) => away[0] * orientation[from] + away[1] * orientation[from + 1]
    return [along(0) / spacing[1] + 0.5, along(3) / spacing[0] + 0.5]
  }
}

// Instances by concatenation (PS3.3 C.7.6.16.1.4): the parts of each in their order.
function joined(datasets, notes) {
  const groups = new Map()
  for (const dataset of datasets) {
    const key = text(dataset, "00209161") || text(dataset, "00080018")
    if (!groups.has(key)) groups.set(key, [])
    groups.get(key).push({ dataset, first: number(dataset, "00209228") ?? 0, count: number(dataset, "00280008") ?? 1 })
  }
  for (const parts of groups.values()) {
    parts.sort((one, other) => one.first - other.first)
    const total = number(parts[0].dataset, "00209163")
    if (total && total > parts.length) notes.push(`${total - parts.length} of ${total} parts of an image are missing. Their tiles are not shown.`)
  }
  return [...groups.values()]
}

// An image in tiles: which frame of which part is which tile. Its frames are told apart by optical paths, or by what a functional
// group of each names.
export class TiledImage {
  constructor(parts, seriesPath, notes, { paths = pathsOf(parts[0].dataset), group = "00480207", name = "00480106" } = {}) {
    const { dataset } = parts[0]
    this.parts = parts
    this.dataset = dataset
    this.isThumbnail = flavour(dataset) === "THUMBNAIL"
    this.tileColumns = number(dataset, "00280011")
    this.tileRows = number(dataset, "00280010")
    this.columns = number(dataset, "00480006") || this.tileColumns
    this.rows = number(dataset, "00480007") || this.tileRows
    this.across = Math.ceil(this.columns / this.tileColumns)
    this.down = Math.ceil(this.rows / this.tileRows)
    this.pyramid = text(dataset, "00080019")
    const orientation = numbers(dataset, "00480102")
    this.orientation = orientation.length === 6 && orientation.every(Number.isFinite) ? orientation : null
    const place = value(dataset, "00480008")
    const origin = [number(place, "0040072A"), number(place, "0040073A")]
    this.origin = origin.every(Number.isFinite) ? origin : null
    this.measures = value(value(dataset, SHARED), "00289110")
    const spacing = numbers(this.measures, "00280030")
    this.isCalibrated = spacing.length === 2 && spacing.every((one) => one > 0 && Number.isFinite(one))
    this.spacing = this.isCalibrated ? spacing : [1, 1]
    for (const part of parts) part.instance = new Instance(part.dataset, seriesPath)
    this.paths = paths
    this.planes = this.#isSparse() ? this.#sparsePlanes(group, name) : this.#fullPlanes(notes)
  }

  get count() { return Math.max(...this.parts.map(({ first, count }) => first + count)) }

  #isSparse() {
    const type = text(this.dataset, "00209311")
    if (type) return type !== "TILED_FULL"
    return this.parts.some(({ dataset }) => dataset.framePlaces || values(dataset, PERFRAME).some((item) => value(item, "0048021A")))
  }

  // Frames lie row by row, then plane by plane, then path by path (PS3.3 C.7.6.17.3).
  #fullPlanes(notes) {
    const planes = number(this.dataset, "00480303") || 1
    const step = (number(this.measures, "00180088") ?? 0) * 1000
    const first = number(value(this.dataset, "00480008"), "0040074A") ?? 0
    const each = this.across * this.down
    const paths = this.paths.slice(0, number(this.dataset, "00480302") || this.paths.length)
    const needed = each * planes * paths.length
    if (this.count < needed) notes.push(`The image of ${this.columns} × ${this.rows} has ${this.count} frames of ${needed}. What is missing is not shown.`)
    const length = Math.min(planes, MOST_PLANES, Math.max(1, Math.ceil(this.count / each)))
    return paths.flatMap(({ id }, path) => Array.from({ length }, (_, plane) => {
      const start = (path * planes + plane) * each
      return { path: id, z: first + plane * step, framesAt: (x, y) => this.#whole(start + y * this.across + x, x, y) }
    }))
  }

  #whole(index, x, y) { return this.partOf(index) ? [{ index, column: x * this.tileColumns, row: y * this.tileRows }] : [] }

  // Each frame says where it lies, by its place in the matrix, and it need not lie in rows with others.
  #sparsePlanes(group, tag) {
    const planes = new Map()
    const own = value(value(this.dataset, SHARED), group)
    for (const { dataset, first } of this.parts) {
      for (const { index, column, row, name, z } of placesOf(dataset, group, tag)) {
        if (!Number.isFinite(column) || !Number.isFinite(row)) continue
        const path = name || text(own, tag) || this.paths[0].id
        const key = `${path} ${z}`
        if (!planes.has(key)) planes.set(key, { path, z, cells: new Map() })
        this.#lay(planes.get(key).cells, { index: first + index, column, row })
      }
    }
    return [...planes.values()].map(({ path, z, cells }) => ({ path, z, framesAt: (x, y) => cells.get(y * this.across + x) ?? [] }))
  }

  #lay(cells, frame) {
    const [left, top] = [Math.floor(frame.column / this.tileColumns), Math.floor(frame.row / this.tileRows)]
    const [right, bottom] = [Math.ceil(frame.column / this.tileColumns), Math.ceil(frame.row / this.tileRows)]
    for (let y = Math.max(0, top); y <= Math.min(bottom, this.down - 1); y += 1) {
      for (let x = Math.max(0, left); x <= Math.min(right, this.across - 1); x += 1) {
        const at = y * this.across + x
        const there = cells.get(at)
        if (there) there.push(frame)
        else cells.set(at, [frame])
      }
    }
  }

  // Why it cannot be laid over the largest image, as a level of it or as a part.
  misfit(base, { isPart = false } = {}) {
    if (this === base) return ""
    const away = this.orientation && base.orientation && this.orientation.some((cosine, index) => Math.abs(cosine - base.orientation[index]) > 1e-3)
    if (away) return "it lies otherwise on the slide."
    if (!isPart && this.pyramid && base.pyramid && this.pyramid !== base.pyramid) return "it is of another pyramid."
    if (!this.isCalibrated || !base.isCalibrated) {
      const share = (this.columns * base.rows) / (this.rows * base.columns)
      return Math.abs(share - 1) < 0.02 ? "" : "its pixels have no size, and its shape is another."
    }
    if (isPart) return ""
    const differences = [
      [this.columns * this.spacing[1], base.columns * base.spacing[1], this.spacing[1]],
      [this.rows * this.spacing[0], base.rows * base.spacing[0], this.spacing[0]],
    ]
    // A level may end up to two of its pixels before or after the largest one.
    return differences.some(([one, other, pixel]) => Math.abs(one - other) > 2 * pixel + other * 0.005) ? "its Pixel Spacing does not fit its size." : ""
  }

  partOf(index) { return this.parts.find(({ first, count }) => index >= first && index < first + count) }

  // A frame as the loader of frames takes it.
  frameAt(index) {
    const { instance, first } = this.partOf(index)
    return new Frame(instance, index - first)
  }
}

// Where each frame of a sparse image says that it lies: in the data set, or in the arrays that were made of it.
function* placesOf(dataset, group, tag) {
  const { framePlaces } = dataset
  if (framePlaces) {
    const { columns, rows, heights, paths, names } = framePlaces
    for (let index = 0; index < columns.length; index += 1) yield { index, column: columns[index] - 1, row: rows[index] - 1, z: heights[index], name: names[paths[index]] }
    return
  }
  for (const [index, item] of values(dataset, PERFRAME).entries()) {
    const place = value(item, "0048021A")
    yield { index, column: number(place, "0048021E") - 1, row: number(place, "0048021F") - 1, z: number(place, "0040074A") ?? 0, name: text(value(item, group), tag) }
  }
}

function pathsOf(dataset) {
  const items = values(dataset, "00480105")
  if (!items.length) return [{ id: "", words: "", dataset: null }]
  return items.map((item, index) => {
    const id = text(item, "00480106") || String(index + 1)
    const wave = number(item, "00220055")
    return { id, dataset: item, words: [text(item, "00480107") || `Path ${id}`, wave && `${wave} nm`].filter(Boolean).join(", ") }
  })
}

// One size of the slide: images of it, each of some optical paths and focal planes.
export class Level {
  constructor(image, base) {
    this.columns = image.columns
    this.rows = image.rows
    this.images = []
    const isMeasured = image.isCalibrated && base.isCalibrated
    const scale = isMeasured ? [image.spacing[1] / base.spacing[1], image.spacing[0] / base.spacing[0]] : [base.columns / image.columns, base.rows / image.rows]
    // Columns and rows of the largest matrix in one of its own.
    this.scale = scale
    this.offset = isMeasured ? offsetOf(image, base, scale) : [0, 0]
  }

  planesOf(pathId) {
    const heights = this.images.flatMap(({ planes }) => planes.filter(({ path }) => path === pathId).map(({ z }) => z))
    return [...new Set(heights)].sort((one, other) => one - other)
  }

  // The image and the plane of an optical path that is nearest to a height.
  at(pathId, z) {
    const found = this.images.flatMap((image) => image.planes.filter(({ path }) => path === pathId).map((plane) => ({ image, plane })))
    return found.sort((one, other) => Math.abs(one.plane.z - z) - Math.abs(other.plane.z - z))[0]
  }
}

// Where a level begins in the largest matrix. Origins are those of the centres of first pixels, or for all levels the same:
// what is less than a pixel of the level says nothing.
function offsetOf(image, base, scale) {
  if (!image.origin || !base.origin || !base.orientation) return [0, 0]
  const away = [image.origin[0] - base.origin[0], image.origin[1] - base.origin[1]]
  return [0, 1].map((axis) => {
    const along = (away[0] * base.orientation[axis * 3] + away[1] * base.orientation[axis * 3 + 1]) / base.spacing[1 - axis]
    return Math.abs(along) <= scale[axis] ? 0 : along - (scale[axis] - 1) / 2
  })
}
