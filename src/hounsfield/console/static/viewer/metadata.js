// The data set of the image that is shown, in the panel beside it: searched by keyword, tag and value; follows scrolling.
import { number, text, values } from "./dicom.js"

const NAME = "metadata"
const FRAME_GROUPS = "52009230"
const MOST_ITEMS = 100
const MOST_FOUND = 300
const MOST_VALUES = 64
const LONGEST = 400
const PAUSE_MS = 80

let keywords = null
let shown = null

// Opens the panel, or closes it where it is open.
export function toggleMetadata(page) {
  if (shown) { page.side.close(NAME); return }
  const panel = new Metadata(page)
  shown = panel
  page.side.open(NAME, "Metadata", panel.element, { onClose: () => { panel.close(); shown = null } })
  panel.search.focus()
}

class Metadata {
  constructor(page) {
    this.page = page
    this.open = new Set()
    this.element = document.createElement("div")
    this.element.className = "metadata"
    const label = create("label", "", "Keyword, tag or value")
    label.htmlFor = "metadata-search"
    this.search = Object.assign(create("input"), { type: "search", id: "metadata-search", autocomplete: "off", spellcheck: false })
    this.heading = create("p", "muted")
    this.heading.setAttribute("role", "status")
    this.list = create("ul", "tree")
    this.element.append(label, this.search, this.heading, this.list)
    this.search.addEventListener("input", () => this.showSoon())
    this.listen = () => this.showSoon()
    for (const name of ["viewer:image", "viewer:active"]) page.root.addEventListener(name, this.listen)
    // Who opens the panel sees tags at once, and keywords when these are here.
    loadKeywords().then(() => this.show(), () => { this.heading.textContent = "The server does not give the names of attributes." })
    this.show()
  }

  close() {
    clearTimeout(this.timer)
    for (const name of ["viewer:image", "viewer:active"]) this.page.root.removeEventListener(name, this.listen)
  }

  showSoon() {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.show(), PAUSE_MS)
  }

  show() {
    const { frame: image, stack, guest } = this.page.active
    // A document is one object; of what else takes the place of images nothing is known here.
    const frame = image ?? (guest?.dataset ? { dataset: guest.dataset, index: 0 } : null)
    if (!frame) { this.heading.textContent = "No image is shown."; this.list.replaceChildren(); return }
    const many = number(frame.dataset, "00280008") > 1 ? `, frame ${frame.index + 1} of its instance` : ""
    this.heading.textContent = image ? `Image ${stack.index + 1}${many}` : "The document that is shown"
    const wanted = this.search.value.trim()
    const height = this.element.parentElement?.parentElement?.scrollTop
    this.list.replaceChildren(...(wanted ? this.#matches(frame, wanted) : this.#rows(frame.dataset, frame, "")))
    if (height !== undefined) this.element.parentElement.parentElement.scrollTop = height
  }

  #rows(dataset, frame, path) {
    return Object.keys(dataset).sort().map((tag) => this.#row(dataset, tag, frame, `${path}/${tag}`))
  }

  #row(dataset, tag, frame, path, trail = "") {
    const element = dataset[tag]
    const row = create("li")
    if (element.vr !== "SQ") {
      row.append(...naming(dataset, tag, trail), create("span", "value", wordsOf(element)))
      return row
    }
    const items = itemsOf(element, tag, frame)
    const details = create("details")
    const summary = create("summary")
    summary.append(...naming(dataset, tag, trail), create("span", "value", `${values(dataset, tag).length} items`))
    details.append(summary)
    const fill = () => {
      if (details.childElementCount > 1) return
      for (const [index, item] of items.slice(0, MOST_ITEMS)) {
        details.append(create("div", "item", `Item ${index + 1}${tag === FRAME_GROUPS ? ", of this frame" : ""}`))
        const inner = create("ul")
        inner.append(...this.#rows(item, frame, `${path}/${tag === FRAME_GROUPS ? "frame" : index}`))
        details.append(inner)
      }
      if (items.length > MOST_ITEMS) details.append(create("div", "item", `… and ${items.length - MOST_ITEMS} more items`))
    }
    details.addEventListener("toggle", () => {
      if (details.open) { this.open.add(path); fill() } else this.open.delete(path)
    })
    if (this.open.has(path)) { fill(); details.open = true }
    row.append(details)
    return row
  }

  #matches(frame, wanted) {
    const letters = wanted.toLocaleLowerCase()
    const digits = wanted.replace(/[(),\s]/g, "").toUpperCase()
    const found = []
    const visit = (dataset, trail) => {
      for (const tag of Object.keys(dataset).sort()) {
        if (found.length > MOST_FOUND) return
        const element = dataset[tag]
        const name = nameOf(dataset, tag)
        const isMatch = name.toLocaleLowerCase().includes(letters) || tag.includes(digits) || (element.vr !== "SQ" && wordsOf(element).toLocaleLowerCase().includes(letters))
        if (isMatch) found.push(this.#row(dataset, tag, frame, `found${trail}/${tag}`, trail))
        if (element.vr === "SQ") for (const [index, item] of itemsOf(element, tag, frame)) visit(item, `${trail}${name}${values(dataset, tag).length > 1 ? ` ${index + 1}` : ""} › `)
      }
    }
    visit(frame.dataset, "")
    if (!found.length) return [create("li", "muted", "Nothing in this data set has it.")]
    return found.length > MOST_FOUND ? [...found.slice(0, MOST_FOUND), create("li", "muted", `Only the first ${MOST_FOUND} are listed.`)] : found
  }
}

// Of the functional groups of frames there is one that is of the frame, among perhaps a hundred thousand.
function itemsOf(element, tag, frame) {
  const items = element.Value ?? []
  if (tag === FRAME_GROUPS) return items[frame.index] ? [[frame.index, items[frame.index]]] : []
  return items.map((item, index) => [index, item ?? {}])
}

function naming(dataset, tag, trail) {
  const name = create("span", "keyword", nameOf(dataset, tag))
  if (trail) name.prepend(create("span", "muted", trail))
  return [name, create("span", "number", `(${tag.slice(0, 4)},${tag.slice(4)}) ${dataset[tag].vr ?? ""}`)]
}

// A keyword of the dictionary; of a private element who made it, and its number in their block.
function nameOf(dataset, tag) {
  const known = keywords?.get(tag) ?? keywords?.get(repeating(tag))
  if (known) return known
  if (Number.parseInt(tag.slice(3, 4), 16) % 2 === 0) return "Unknown"
  if (tag.slice(4, 6) === "00") return "Private creator"
  const creator = text(dataset, `${tag.slice(0, 4)}00${tag.slice(4, 6)}`)
  return creator ? `${creator} ${tag.slice(6)}` : `Private ${tag.slice(6)}`
}

// Groups of overlays and curves come again and again.
const repeating = (tag) => (/^(60|50)/.test(tag) ? `${tag.slice(0, 2)}00${tag.slice(4)}` : "")

function wordsOf(element) {
  if (element.BulkDataURI) return "bulk data"
  if (element.InlineBinary) return `${Math.floor((element.InlineBinary.replace(/=+$/, "").length * 3) / 4)} bytes`
  const all = element.Value ?? []
  const words = all.slice(0, MOST_VALUES).map(wordOf).join(" \\ ")
  const more = all.length > MOST_VALUES ? ` … ${all.length} values` : ""
  return `${words.length > LONGEST ? `${words.slice(0, LONGEST)} …` : words}${more}`
}

function wordOf(one) {
  if (one === null) return ""
  return typeof one === "object" ? Object.values(one).filter((part) => typeof part === "string").join(" = ") : String(one)
}

function create(name, kind = "", words = "") {
  const element = document.createElement(name)
  if (kind) element.className = kind
  if (words) element.textContent = words
  return element
}

async function loadKeywords() {
  if (keywords) return
  const answer = await fetch("/console/attributes/keywords", { headers: { Accept: "application/json" } })
  if (!answer.ok) throw new Error("no keywords")
  keywords = new Map(Object.entries(await answer.json()))
}
