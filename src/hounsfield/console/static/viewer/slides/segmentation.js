// Segmentations of slides (PS3.3 A.51 with frames in tiles): colours over the tiles, level by level.
import { text } from "../dicom.js"
import { paint, paintLabels } from "../overlays/segmentation.js"
import { referencedSeries } from "../overlays/references.js"
import { readSegmentation } from "../overlays/segments.js"
import { Level, TiledImage } from "./pyramid.js"

// Opens the slide that a segmentation was made for, with all of its segments.
export async function openOverSlide({ page, series, viewport }, slideSeries) {
  await page.openSeries(slideSeries, viewport)
  await viewport.guest?.showAnnotations?.({ segmentation: text(series, "0020000E") })
}

// The segmentations of the study that were made for a series of a slide; one that cannot be laid over it says why.
export async function segmentationsOf(page, slide, slideSeries) {
  const found = []
  for (const [uid, series] of page.series) {
    if (text(series, "00080060") !== "SEG") continue
    const datasets = await page.datasetsOf(uid)
    const named = await referencedSeries(datasets, page).catch(() => null)
    if (named === slideSeries) found.push(new SlideSegmentation(page, slide, series, datasets))
  }
  return found
}

class SlideSegmentation {
  constructor(page, slide, series, datasets) {
    this.page = page
    this.uid = text(series, "0020000E")
    this.title = text(series, "0008103E") || "Segmentation"
    this.items = []
    this.levels = []
    this.problems = []
    try {
      for (const dataset of datasets) this.#read(slide, dataset)
    } catch (error) {
      this.problems.push(error.message)
    }
    this.levels.sort((one, other) => other.image.columns - one.image.columns)
  }

  #read(slide, dataset) {
    if (text(dataset, "00200052") !== text(slide.dataset, "00200052")) throw new Error("It lies in another frame of reference.")
    const path = this.page.pathOf(this.uid)
    const read = readSegmentation(dataset, path)
    // Frames of TILED_FULL name no segment: it follows from their order.
    if (text(dataset, "00209311") !== "TILED_FULL") this.problems.push(...read.problems)
    const numbers = [...read.segments.keys()]
    const paths = read.isLabelmap ? [{ id: "labels" }] : numbers.map((key) => ({ id: String(key) }))
    const count = Number(dataset["00280008"]?.Value?.[0] ?? 1)
    const image = new TiledImage([{ dataset, first: 0, count }], path, this.problems, { paths, group: "0062000A", name: "0062000B" })
    const reason = image.misfit(slide.base, { isPart: true })
    if (reason) throw new Error(`It is not laid over this slide: ${reason}`)
    if (!this.items.length) this.items = [...read.segments.values()].map((item) => ({ ...item, isVisible: false }))
    this.levels.push({ level: new Level(image, slide.base), image, read })
  }

  get visible() { return this.items.filter(({ isVisible }) => isVisible) }

  // Frames of a tile with the segment of each, of the focal plane that is nearest.
  partsAt({ image, read }, x, y, z) {
    const keys = read.isLabelmap ? ["labels"] : this.visible.map(({ key }) => String(key))
    return keys.flatMap((key) => {
      const planes = image.planes.filter(({ path }) => path === key).sort((one, other) => Math.abs(one.z - z) - Math.abs(other.z - z))
      return planes.length ? planes[0].framesAt(x, y).map((part) => ({ ...part, key })) : []
    })
  }

  async draw(entry, x, y, z, signal) {
    const { image, read } = entry
    const [left, top] = [x * image.tileColumns, y * image.tileRows]
    const canvas = document.createElement("canvas")
    Object.assign(canvas, { width: Math.min(image.tileColumns, image.columns - left), height: Math.min(image.tileRows, image.rows - top) })
    const context = canvas.getContext("2d", { willReadFrequently: true })
    for (const { index, column, row, key } of this.partsAt(entry, x, y, z)) {
      const frame = image.frameAt(index)
      const found = await this.page.store.load(frame, { signal, isUrgent: false })
      if (found.components !== 1) throw new Error("It does not have the samples that the file says.")
      const pixels = new ImageData(frame.columns, frame.rows)
      if (read.isLabelmap) paintLabels(pixels.data, found.samples, new Map(this.visible.map((item) => [item.key, item.colour])), 1)
      else paint(pixels.data, found.samples, this.items.find((item) => String(item.key) === key).colour, 1 / read.most)
      const part = new OffscreenCanvas(frame.columns, frame.rows)
      part.getContext("2d").putImageData(pixels, 0, 0)
      context.drawImage(part, column - left, row - top)
    }
    return context
  }
}
