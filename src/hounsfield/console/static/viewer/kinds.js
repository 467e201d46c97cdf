// What opens a series: the first kind that takes its data sets. Each is loaded when it is first needed.
//
// A kind's module has open({ page, series, datasets, path, viewport }): it shows the series in the viewport, or beside it,
// and rejects with an Error whose message says in words why it cannot.
import { text, value } from "./dicom.js"

const withPixels = (datasets) => datasets.some((dataset) => value(dataset, "00280010"))
const withContentTree = (datasets) => datasets.every((dataset) => text(dataset, "00080016").startsWith("1.2.840.10008.5.1.4.1.1.88.") || text(dataset, "0040A040") === "CONTAINER")
const isOf = (...classes) => (datasets) => datasets.some((dataset) => classes.includes(text(dataset, "00080016")))
const withWaveforms = (datasets) => datasets.every((dataset) => dataset["54000100"] || text(dataset, "00080016").startsWith("1.2.840.10008.5.1.4.1.1.9."))
const withDocument = (datasets) => datasets.every((dataset) => dataset["00420011"] || text(dataset, "00080016").startsWith("1.2.840.10008.5.1.4.1.1.104."))
const withVideo = (datasets) => datasets.every((dataset) => /^1\.2\.840\.10008\.1\.2\.4\.10[0-8](\.1)?$/.test(text(dataset, "00083002")))

const KINDS = [
  { takes: isOf("1.2.840.10008.5.1.4.1.1.77.1.6"), load: () => import("./slides/slides.js") },
  { takes: isOf("1.2.840.10008.5.1.4.1.1.91.1"), load: () => import("./slides/annotations.js") },
  { takes: withContentTree, load: () => import("./documents/structured_report.js") },
  { takes: withDocument, load: () => import("./documents/encapsulated.js") },
  { takes: withWaveforms, load: () => import("./documents/waveforms.js") },
  { takes: isOf("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"), load: () => import("./overlays/segmentation.js") },
  { takes: withVideo, load: () => import("./documents/video.js") },
  { takes: isOf("1.2.840.10008.5.1.4.1.1.481.3"), load: () => import("./overlays/structure_set.js") },
  { takes: withPixels, load: () => import("./pictures.js") },
  { takes: () => true, load: () => import("./documents/facts.js") },
]

// What is shown apart from the images of its series, as the video of an endoscopy among its stills.
const APART = [[withContentTree, "Reports"], [withDocument, "Documents"], [withWaveforms, "Waveforms"], [withVideo, "Videos"]]
const apartAs = (dataset) => APART.find(([takes]) => takes([dataset]))?.[1] ?? "Images"

export async function openKind(context) {
  if (!context.datasets.length) throw new Error("This series has nothing that can be shown here.")
  const groups = new Map()
  for (const dataset of context.datasets) {
    const name = apartAs(dataset)
    if (!groups.has(name)) groups.set(name, [])
    groups.get(name).push(dataset)
  }
  if (groups.size > 1) {
    const { wanted } = context.viewport
    const { openMixed } = await import("./documents/mixed_series.js")
    return context.viewport.wanted === wanted ? openMixed(context, groups, openKind) : undefined
  }
  const kind = KINDS.find(({ takes }) => takes(context.datasets))
  const { wanted } = context.viewport
  const { open } = await kind.load()
  // While the module came another series may have been opened.
  return context.viewport.wanted === wanted ? open(context) : undefined
}
