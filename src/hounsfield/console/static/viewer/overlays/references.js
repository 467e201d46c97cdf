// Which series of the study segmentations and structure sets are made for.
import { text, value, values } from "../dicom.js"

const SLIDES = "1.2.840.10008.5.1.4.1.1.77.1.6"
const DERIVED = new Set(["SEG", "RTSTRUCT"])
export const isDerived = (series) => DERIVED.has(text(series, "00080060"))

// The series that data sets name, or that lies in their frame of reference; where there is none, an Error says why.
export async function referencedSeries(datasets, page) {
  const named = datasets.flatMap(namedSeries)
  const here = named.find((uid) => page.series.has(uid))
  if (here) return here
  const instances = new Set(datasets.flatMap(namedInstances))
  const references = new Set(datasets.flatMap(framesOfReference))
  const images = [...page.series].filter(([, series]) => !isDerived(series) && value(series, "00201209") !== 0)
  for (const [uid, series] of images) {
    const own = text(series, "00200052")
    if (own ? !references.has(own) : !instances.size) continue
    const found = await page.datasetsOf(uid).catch(() => [])
    if (found.some((dataset) => value(dataset, "00280010") && (references.has(text(dataset, "00200052")) || instances.has(text(dataset, "00080018"))))) return uid
  }
  const studies = datasets.flatMap((dataset) => values(dataset, "00081200")).length
  if (studies && !named.length) throw new Error("It was made for images of another study")
  throw new Error(named.length ? "The series that it was made for is not in this study, or you may not see it" : "It does not say which images it was made for, and none of this study lies in its frame of reference")
}

function namedSeries(dataset) {
  const ofStructures = values(dataset, "30060010").flatMap((item) => values(item, "30060012")).flatMap((item) => values(item, "30060014"))
  return [...values(dataset, "00081115"), ...ofStructures].map((item) => text(item, "0020000E")).filter(Boolean)
}

function namedInstances(dataset) {
  const groups = [...values(dataset, "52009230"), ...values(dataset, "52009229")]
  const sources = groups.flatMap((group) => values(group, "00089124")).flatMap((item) => values(item, "00082112"))
  return [...sources, ...values(dataset, "00081115").flatMap((item) => values(item, "0008114A"))].map((item) => text(item, "00081155")).filter(Boolean)
}

function framesOfReference(dataset) {
  const ofStructures = [...values(dataset, "30060010").map((item) => text(item, "00200052")), ...values(dataset, "30060020").map((item) => text(item, "30060024"))]
  return [text(dataset, "00200052"), ...ofStructures].filter(Boolean)
}

// Opens the series that data sets were made for, and lays them over it; else shows what pictures they have, and says why.
export async function openOver({ page, series, datasets, path, viewport }, layersOf) {
  const wanted = viewport.wanted
  const { open } = await import("../pictures.js")
  let uid
  try {
    uid = await referencedSeries(datasets, page)
    const images = await page.datasetsOf(uid)
    if (viewport.wanted !== wanted) return
    if (images.some((dataset) => text(dataset, "00080016") === SLIDES)) {
      if (text(series, "00080060") !== "SEG") throw new Error("It was made for a slide, and is not laid over one here")
      const { openOverSlide } = await import("../slides/segmentation.js")
      return await openOverSlide({ page, series, viewport }, uid)
    }
    await open({ page, series: page.series.get(uid), datasets: images, path: page.pathOf(uid), viewport })
    if (viewport.wanted !== wanted) return
    await addLayers({ page, series, datasets, path, viewport }, layersOf)
    if (matchMedia("(min-width: 64rem)").matches) (await import("./panel.js")).openOverlays(page)
  } catch (error) {
    if (viewport.wanted !== wanted) return
    const hasPictures = datasets.some((dataset) => value(dataset, "00280010"))
    const { open: openAlone } = hasPictures ? { open } : await import("../documents/facts.js")
    await openAlone({ page, series, datasets, path, viewport })
    page.say(`${sentence(error.message)}${hasPictures ? " It is shown as pictures of its own." : ""}`)
  }
}

const sentence = (words) => (words.endsWith(".") ? words : `${words}.`)

// Areas under lines, lines under drawings, whichever came first.
function sortLayers(viewport) {
  viewport.layers.sort((one, other) => (one.height ?? 0) - (other.height ?? 0))
  viewport.draw()
}

// Lays each data set over the images of a viewport; throws where none can be.
export async function addLayers({ page, series, datasets, path, viewport }, layersOf) {
  const { stack } = viewport
  const failures = []
  for (const dataset of datasets) {
    try {
      const layer = await layersOf({ page, series, dataset, path, viewport })
      if (viewport.stack !== stack) return
      viewport.addLayer(layer)
      sortLayers(viewport)
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length === datasets.length) throw failures[0] ?? new Error("There is nothing to lay over these images.")
  if (failures.length) page.say(failures.map(({ message }) => message).join(" "))
}
