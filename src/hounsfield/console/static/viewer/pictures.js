// A series of images as a stack, with the overlay planes of its files over it.
import { framesOfSeries, sorted } from "./dicom.js"
import { layPlanes } from "./overlays/overlay_planes.js"
import { Stack } from "./stack.js"

export async function open({ page, series, datasets, path, viewport }) {
  const frames = sorted(framesOfSeries(datasets, path))
  const shown = viewport.show(new Stack(series, frames, page.store))
  layPlanes(viewport, page)
  await shown
}
