// What opens a series: the first kind that takes its data sets. Each is loaded when it is first needed.
//
// A kind's module has open({ page, series, datasets, path, viewport }): it shows the series in the viewport, or beside it,
// and rejects with an Error whose message says in words why it cannot.
import { value } from "./dicom.js"

const withPixels = (datasets) => datasets.some((dataset) => value(dataset, "00280010"))

const KINDS = [
  { takes: withPixels, load: () => import("./pictures.js") },
]

export async function openKind(context) {
  const kind = KINDS.find(({ takes }) => takes(context.datasets))
  if (!kind) throw new Error("This series has nothing that can be shown here.")
  const { open } = await kind.load()
  await open(context)
}
