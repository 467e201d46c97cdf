// A series with objects that are not shown in the same way: one kind at a time, the others a button away in the panel.
import { button, element } from "./element.js"

// `groups` has the data sets by the name of what they are; `open(context)` shows those of one of them.
export async function openMixed(context, groups, open) {
  const { page } = context
  const buttons = new Map()
  const show = async (name) => {
    for (const [other, one] of buttons) one.setAttribute("aria-pressed", String(other === name))
    await open({ ...context, datasets: groups.get(name) })
  }
  for (const [name, datasets] of groups) buttons.set(name, button(`${name} (${datasets.length})`, () => show(name).catch(page.fail)))
  page.side.open("mixed series", "This series has", element("div", { className: "mixed-series" }, ...buttons.values()))
  await show(groups.has("Images") ? "Images" : groups.keys().next().value)
}
