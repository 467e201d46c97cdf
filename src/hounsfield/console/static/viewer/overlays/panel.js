// The panel of what lies over the images of the active viewport: a legend for each, and what more the study has to lay over.
import { text, values } from "../dicom.js"
import { button, element } from "../documents/element.js"
import { dateText } from "../documents/moments.js"
import { isDerived } from "./references.js"

const NAME = "overlays"
// A file may describe 65,535 segments: a list of all of them would take the browser long.
const MOST_LISTED = 1000
const LAYERS = { SEG: () => import("./segmentation.js"), RTSTRUCT: () => import("./structure_set.js") }

export function toggleOverlays(page) {
  if (page.side.name === NAME) { page.side.close(NAME); return }
  openOverlays(page)
  page.side.element.querySelector("[data-content] :is(input, button)")?.focus()
}

export function openOverlays(page) {
  const content = element("div", { className: "overlays" })
  const closing = new AbortController()
  let listed = null
  const list = () => {
    const key = [page.whole, page.active, page.active.stack, ...page.active.layers]
    if (listed && key.length === listed.length && key.every((one, index) => one === listed[index])) return
    listed = key
    fill(content, page)
  }
  for (const name of ["viewer:image", "viewer:active", "viewer:stage"]) page.root.addEventListener(name, list, { signal: closing.signal })
  page.root.addEventListener("viewer:overlays", () => { listed = null; list() }, { signal: closing.signal })
  list()
  page.side.open(NAME, "Overlays", content, {
    onClose: () => {
      closing.abort()
      if (document.activeElement === document.body) page.active.element.focus()
    },
  })
}

function fill(content, page) {
  const focused = content.contains(document.activeElement) ? document.activeElement.dataset.key : null
  const viewport = page.active
  const layers = viewport.layers.filter(({ items }) => items)
  const sections = layers.map((layer, index) => legend(page, viewport, layer, index))
  const offers = offersOf(page, viewport, layers)
  if (offers) sections.push(offers)
  if (!sections.length) sections.push(element("p", { textContent: "Nothing lies over these images, and the study has no segmentation and no contours." }))
  const isHidden = Boolean(page.whole?.isVolume)
  content.toggleAttribute("data-not-shown", isHidden && layers.length > 0)
  if (isHidden) sections.unshift(element("p", { className: "words" }, "Not shown in the volume. Overlays lie over the images only."))
  content.replaceChildren(...sections)
  if (!focused) return
  const same = [...content.querySelectorAll("[data-key]")].find(({ dataset }) => dataset.key === focused)
  const next = same ?? content.querySelector("input, button")
  next?.focus()
}

// One layer: what is wrong with it, how opaque it is, its items by colour.
function legend(page, viewport, layer, index) {
  const section = element("section")
  const heading = element("h3", { textContent: layer.title, id: `overlay-${index}` })
  section.setAttribute("aria-labelledby", heading.id)
  section.append(heading)
  if (layer.problems.length) section.append(element("ul", { className: "words" }, ...layer.problems.map((words) => element("li", {}, words))))
  const list = element("ul", { className: "items" })
  const boxes = layer.items.slice(0, MOST_LISTED).map((item) => {
    const box = element("input", { type: "checkbox", checked: item.isVisible })
    box.dataset.key = `${index} ${item.key}`
    box.addEventListener("change", () => layer.setVisible([item.key], box.checked))
    list.append(entry(page, viewport, layer, item, box))
    return box
  })
  const showAll = (isVisible) => {
    for (const box of boxes) box.checked = isVisible
    layer.setVisible(layer.items.map(({ key }) => key), isVisible)
  }
  section.append(opacity(layer, index), buttons(viewport, layer, showAll), list)
  if (layer.items.length > MOST_LISTED) section.append(element("p", { className: "words" }, `Only the first ${MOST_LISTED} of ${layer.items.length} are listed.`))
  return section
}

function entry(page, viewport, layer, item, box) {
  const swatch = element("span", { className: "swatch" })
  swatch.style.background = item.css
  const row = element("li", {}, element("label", {}, box, swatch, element("span", {}, item.name)))
  if (layer.firstImage) {
    const first = button("First image", async () => {
      try {
        const at = await layer.firstImage(item.key)
        if (at < 0) page.say(`No image of this series shows ${item.name}.`)
        else page.scroll(at - viewport.stack.index, viewport)
      } catch (error) {
        page.say(error.message)
      }
    })
    first.setAttribute("aria-label", `First image of ${item.name}`)
    row.append(first)
  }
  if (item.detail) row.append(element("p", { textContent: item.detail }))
  return row
}

function opacity(layer, index) {
  const range = element("input", { type: "range", min: 0, max: 100, step: 5, value: Math.round(layer.opacity * 100) })
  range.dataset.key = `opacity ${index}`
  range.addEventListener("input", () => layer.setOpacity(Number(range.value) / 100))
  return element("label", { className: "opacity" }, "Opacity", range)
}

function buttons(viewport, layer, showAll) {
  const set = element("div", { className: "set" })
  if (layer.items.length > 1) set.append(button("Show all", () => showAll(true)), button("Hide all", () => showAll(false)))
  if (layer.series) {
    const remove = button("Remove", () => {
      viewport.removeLayer(layer)
      viewport.element.dispatchEvent(new CustomEvent("viewer:overlays", { bubbles: true }))
    })
    remove.dataset.key = `remove ${layer.series}`
    set.append(remove)
  }
  return set
}

// Segmentations and structure sets of the study that do not lie over the images yet.
function offersOf(page, viewport, layers) {
  if (!viewport.stack) return null
  const series = [...page.series.values()].filter((one) => isDerived(one) && !layers.some((layer) => layer.series === text(one, "0020000E")))
  if (!series.length) return null
  const section = element("section", {}, element("h3", {}, "Also in this study"))
  const names = series.map(nameOf)
  for (const [index, one] of series.entries()) {
    const made = offer(page, viewport, one)
    section.append(made)
    if (names.indexOf(names[index]) !== names.lastIndexOf(names[index])) tellApart(page, one, made.querySelector("button"))
  }
  return section
}

// Modality, number and description of a series.
const nameOf = (series) => [text(series, "00080060"), text(series, "00200011"), text(series, "0008103E")].filter(Boolean).join(" ")

// Series of one name differ in what their files say.
async function tellApart(page, series, lay) {
  const [dataset] = await page.datasetsOf(text(series, "0020000E")).catch(() => [])
  if (!dataset) return
  const segments = values(dataset, "00620002")
  const regions = values(dataset, "30060020").map((item) => text(item, "30060026"))
  const names = [...segments.map((item) => text(item, "00620005")), ...regions].filter(Boolean)
  const referenced = values(dataset, "00081115").map((item) => page.series.get(text(item, "0020000E"))).filter(Boolean).map((one) => text(one, "00200011"))
  const details = [
    text(dataset, "00700080") || text(dataset, "30060002"),
    names.slice(0, 3).join(", ") + (names.length > 3 ? `, … (${names.length})` : ""),
    [...new Set(segments.map((item) => text(item, "00620008").toLowerCase()))].join(", "),
    text(dataset, "00700084").replaceAll("^", " "),
    dateText(text(dataset, "00080023") || text(dataset, "30060008")),
    referenced.length ? `of series ${[...new Set(referenced)].join(", ")}` : "",
  ].filter(Boolean)
  lay.textContent = [`Lay over: ${nameOf(series)}`, ...details].join(" · ")
}

function offer(page, viewport, series) {
  const uid = text(series, "0020000E")
  const words = element("p", { className: "words" })
  words.setAttribute("role", "status")
  const lay = button(`Lay over: ${nameOf(series)}`, async () => {
    words.textContent = "Loading …"
    try {
      const [{ lay: layOver }, datasets] = await Promise.all([LAYERS[text(series, "00080060")](), page.datasetsOf(uid)])
      await layOver({ page, series, datasets, path: page.pathOf(uid), viewport })
      page.say(`${text(series, "0008103E") || nameOf(series)} lies over the images${page.whole?.isVolume ? ", and is not shown in the volume" : ""}.`)
      viewport.element.dispatchEvent(new CustomEvent("viewer:overlays", { bubbles: true }))
    } catch (error) {
      words.textContent = error.message
    }
  })
  lay.dataset.key = `offer ${uid}`
  return element("div", { className: "offer" }, lay, words)
}
