// A series of images as a stack.
import { framesOf, sorted, value } from "./dicom.js"
import { Stack } from "./stack.js"

export async function open({ page, series, datasets, path, viewport }) {
  const frames = sorted(datasets.filter((dataset) => value(dataset, "00280010")).flatMap((dataset) => framesOf(dataset, path)))
  await viewport.show(new Stack(series, frames, page.store))
}
