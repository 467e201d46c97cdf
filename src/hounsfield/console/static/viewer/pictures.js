// A series of images as a stack, with the overlay planes of its files over it.
import { framesOfSeries, sorted } from "./dicom.js"
import { layPlanes } from "./overlays/overlay_planes.js"
import { Stack } from "./stack.js"

export async function open({ page, series, datasets, path, viewport }) {
  const frames = sorted(framesOfSeries(datasets, path))
  const stack = new Stack(series, frames, page.store)
  // Where its images are shown already, as when something is laid over them, one stays at the one that is being read.
  stack.index = Math.max(0, frames.findIndex(({ path: own }) => own === viewport.frame?.path))
  const shown = viewport.show(stack)
  layPlanes(viewport, page)
  await shown
}
