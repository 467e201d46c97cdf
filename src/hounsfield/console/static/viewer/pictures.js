// A series of images as a stack.
import { framesOfSeries, sorted } from "./dicom.js"
import { Stack } from "./stack.js"

export async function open({ page, series, datasets, path, viewport }) {
  const frames = sorted(framesOfSeries(datasets, path))
  await viewport.show(new Stack(series, frames, page.store))
}
