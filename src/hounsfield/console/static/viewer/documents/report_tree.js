// The content tree of a report: sections with headings, items in lists; what is closed is made when it is opened.
import { codeElement, codeOf } from "./codes.js"
import { childrenOf, nameOf, pointsOf, referenceOf, relationOf, shapeOf, targetOf, typeOf, valueOf } from "./content_item.js"
import { dateTimeText } from "./moments.js"
import { button, element } from "./element.js"
import { RegionLayer, SpatialRegionLayer, canDraw } from "./region_layer.js"
import { text } from "../dicom.js"

// Of a report with more items only what one opens is made.
const MOST_AT_ONCE = 3000
const DEEPEST = 64
const FIRST_HEADING = 3

export class ReportTree {
  constructor(dataset, references) {
    this.root = dataset
    this.references = references
    this.branches = new Map()
    this.opensAll = countItems(dataset) <= MOST_AT_ONCE
    this.element = this.#list(dataset, "1", 0)
  }

  get isEmpty() { return childrenOf(this.root).length === 0 }

  openAll(isOpen) {
    // What is made by opening is opened in its turn, unless that were too much at once.
    const branches = [...this.branches.values()]
    for (const branch of branches) branch.set(isOpen)
    if (isOpen && this.opensAll && this.branches.size > branches.length) this.openAll(true)
  }

  // Opens the way to an item, and puts the focus on it.
  reveal(path) {
    const parts = path.split(".")
    for (let end = 1; end < parts.length; end += 1) {
      this.branches.get(parts.slice(0, end).join("."))?.set(true)
    }
    const found = this.element.querySelector(`[data-path="${CSS.escape(path)}"]`)
    found?.focus()
    found?.scrollIntoView({ block: "center" })
    return Boolean(found)
  }

  #list(item, path, depth) {
    const list = element("ul", { className: "report-items" })
    childrenOf(item).forEach((child, index) => list.append(this.#item(child, `${path}.${index + 1}`, depth)))
    return list
  }

  #item(item, path, depth) {
    const made = element("li", { tabIndex: -1, dataset: { path } })
    const line = this.#line(item, depth)
    const children = childrenOf(item)
    if (!children.length) { made.append(line); return made }
    if (depth >= DEEPEST) { made.append(line, element("p", {}, "It holds more, nested deeper than is shown here: see its metadata.")); return made }
    const toggle = button("", () => set(toggle.getAttribute("aria-expanded") !== "true"), { className: "toggle", ariaLabel: `Parts of ${wordsOf(item)}` })
    const set = (isOpen) => {
      if (isOpen && made.childElementCount === 2) made.append(this.#list(item, path, depth + 1))
      toggle.setAttribute("aria-expanded", String(isOpen))
      if (made.childElementCount > 2) made.lastElementChild.hidden = !isOpen
    }
    made.append(toggle, line)
    set(this.opensAll)
    this.branches.set(path, { set })
    return made
  }

  #line(item, depth) {
    const name = nameOf(item)
    const target = targetOf(item)
    const isSection = typeOf(item) === "CONTAINER" && !target
    const relation = relationOf(item)
    const words = [relation && element("span", { className: "relation" }, relation), " "]
    if (isSection) {
      const title = name ? codeElement(name) : "Section without a name"
      const level = FIRST_HEADING + depth
      words.push(element("span", { className: "report-heading", attributes: { role: "heading", "aria-level": String(level) } }, title))
      if (!childrenOf(item).length) words.push(element("em", {}, " nothing in it"))
    } else {
      if (name) words.push(element("span", { className: "concept" }, codeElement(name), ": "))
      words.push(target ? this.#byReference(target) : this.#value(item))
    }
    const observed = text(item, "0040A032")
    if (observed) words.push(element("span", { className: "fine" }, ` observed ${dateTimeText(observed)}`))
    return element("span", { className: "report-line" }, ...words)
  }

  #value(item) {
    const type = typeOf(item)
    if (type === "IMAGE" || type === "WAVEFORM" || type === "COMPOSITE") {
      const reference = referenceOf(item)
      return reference ? this.references.link(reference) : element("em", {}, "a reference that names no object")
    }
    if (type === "SCOORD") return element("span", {}, valueOf(item), this.#showRegion(item))
    if (type === "SCOORD3D") return element("span", {}, valueOf(item), this.#showInSpace(item))
    return valueOf(item)
  }

  // A way to draw a region on the image that it was selected from.
  #showRegion(item) {
    const source = childrenOf(item).find((child) => text(child, "0040A010") === "SELECTED FROM" && typeOf(child) === "IMAGE")
    const reference = source && referenceOf(source)
    const points = pointsOf(item, 2)
    if (!reference || !points) return null
    const layer = new RegionLayer(reference, shapeOf(item), points)
    if (!layer.path) return null
    return element("span", {}, " – show on ", this.references.link(reference, drawing(layer)))
  }

  #showInSpace(item) {
    const reference = text(item, "30060024")
    const points = pointsOf(item, 3)
    if (!reference || !points || !canDraw(shapeOf(item))) return null
    const layer = new SpatialRegionLayer(reference, shapeOf(item), points)
    return element("span", {}, " – show on ", this.references.linkInSpace(reference, points, drawing(layer)))
  }

  #byReference(path) {
    const target = itemAt(this.root, path)
    if (!target) return element("em", {}, `item ${path}, which this document does not have`)
    return button(`see ${wordsOf(target)}`, () => this.reveal(path), { className: "link" })
  }
}

// Puts a region over the images of a viewport, in place of the one that was shown before.
const drawing = (layer) => (viewport) => {
  for (const other of viewport.layers.filter((one) => one instanceof RegionLayer || one instanceof SpatialRegionLayer)) viewport.removeLayer(other)
  viewport.addLayer(layer)
}

// What an item is called where its value does not stand beside it.
function wordsOf(item) {
  const said = codeOf(item, "0040A168")?.meaning ?? text(item, "0040A160").slice(0, 60)
  return [nameOf(item)?.meaning, said].filter(Boolean).join(": ") || "an item without a name"
}

function itemAt(root, path) {
  const [first, ...places] = path.split(".").map(Number)
  if (first !== 1) return null
  return places.reduce((item, place) => (item ? childrenOf(item)[place - 1] : null), root)
}

function countItems(item, depth = 0) {
  if (depth > DEEPEST) return 0
  return childrenOf(item).reduce((sum, child) => sum + 1 + countItems(child, depth + 1), 0)
}
