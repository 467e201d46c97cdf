// What is measured in the active viewport, in the panel beside it: one is chosen, shown and removed.
import { describe, NAMES } from "./measurements.js"
import { remove, select } from "./pointers.js"

const NAME = "measurements"
let shown = null

// Opens the list, or closes it where it is open.
export function toggleMeasurements(page) {
  if (shown) { page.side.close(NAME); return }
  const element = document.createElement("div")
  element.className = "measurements"
  const show = () => element.replaceChildren(...rows(page))
  const events = ["viewer:image", "viewer:active", "viewer:measurements"]
  for (const name of events) page.root.addEventListener(name, show)
  shown = element
  page.side.open(NAME, "Measurements", element, {
    onClose: () => { shown = null; for (const name of events) page.root.removeEventListener(name, show) },
  })
  show()
}

function rows(page) {
  const viewport = page.active
  if (!viewport.measurements.length) {
    const none = document.createElement("p")
    none.textContent = "Nothing is measured. Choose a tool, and click or drag in the image; or press Enter, and move by the arrow keys."
    return [none]
  }
  const list = document.createElement("ul")
  for (const measurement of viewport.measurements) list.append(row(page, viewport, measurement))
  return [list]
}

function row(page, viewport, measurement) {
  const entry = document.createElement("li")
  const index = viewport.stack.frames.findIndex(({ path }) => path === measurement.path)
  const isShown = measurement.path === viewport.frame?.path
  const choose = document.createElement("button")
  Object.assign(choose, { type: "button", className: "tool" })
  choose.setAttribute("aria-pressed", String(viewport.selected === measurement))
  choose.textContent = `${NAMES[measurement.kind]}, image ${index + 1}${isShown ? `: ${describe(viewport, measurement).join("; ")}` : ""}`
  choose.addEventListener("click", async () => {
    viewport.selected = measurement
    if (!isShown) await viewport.stack.go(index)
    select(viewport, measurement)
  })
  const drop = document.createElement("button")
  Object.assign(drop, { type: "button", className: "tool", textContent: "Remove" })
  drop.addEventListener("click", () => remove(viewport, measurement))
  entry.append(choose, drop)
  return entry
}
