// A series with objects that are not shown in the same way: one kind at a time, the others a button away in the panel.
import { button, element } from "./element.js"

const NAME = "mixed series"

// `groups` has the data sets by the name of what they are; `open(context)` shows those of one of them.
export async function openMixed(context, groups, open) {
  const { page, viewport } = context
  const { wanted } = viewport
  const buttons = new Map()
  const show = async (name) => {
    for (const [other, one] of buttons) one.setAttribute("aria-pressed", String(other === name))
    await open({ ...context, datasets: groups.get(name) })
  }
  for (const [name, datasets] of groups) buttons.set(name, button(`${name} (${datasets.length})`, () => show(name).catch(page.fail)))
  const leaving = new AbortController()
  page.side.open(NAME, "This series has", element("div", { className: "mixed-series" }, ...buttons.values()), { onClose: () => leaving.abort() })
  // Its buttons would show this series in place of one that was opened since.
  page.root.addEventListener("viewer:series", () => { if (viewport.wanted !== wanted) page.side.close(NAME) }, { signal: leaving.signal })
  await show(groups.has("Images") ? "Images" : groups.keys().next().value)
}
