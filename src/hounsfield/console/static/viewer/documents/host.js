// What takes the place of the images in a viewport: a bar, and below it one of the objects of a series at a time.
import { number, text } from "../dicom.js"
import { button, element } from "./element.js"
import { loadStyles } from "../styles.js"
import { aboutAddress } from "./about.js"

// A notch of the wheel, and what a page of keys scrolls.
const STEP = 80

const inOrder = (one, other) => (number(one, "00200013") ?? 0) - (number(other, "00200013") ?? 0)

export class DocumentHost {
  // `name` says what an object is called in the list; `show(dataset, host)` fills the body, and gives what has
  // scroll(steps), zoomBy(factor), fit(), toggle(), close() and reveal(reference) where it can.
  constructor({ page, viewport, datasets, name, show }) {
    this.page = page
    this.viewport = viewport
    this.datasets = [...datasets].sort(inOrder)
    this.name = name
    this.fill = show
    this.shown = {}
    this.turn = 0
    loadStyles(new URL("documents.css", import.meta.url).href)
    this.tools = element("div", { className: "document-tools" })
    this.body = element("div", { className: "document-body", tabIndex: 0, attributes: { role: "region" } })
    this.status = element("p", { className: "document-status", attributes: { role: "status" } })
    this.link = element("a", {}, "Metadata")
    this.element = element("div", { className: "document" },
      element("div", { className: "document-bar" }, this.#chooser(), this.tools, this.link), this.status, this.body)
    // Its own scrolling is smoother than steps; with Control the page zooms.
    this.element.addEventListener("wheel", (event) => { if (!event.ctrlKey) event.stopPropagation() }, { passive: true })
  }

  static async open({ page, viewport, datasets, name, show }) {
    const host = new DocumentHost({ page, viewport, datasets, name, show })
    viewport.host(host)
    await host.go(0)
    return host
  }

  // The data set of the object that is shown.
  get dataset() { return this.datasets[this.index] }

  async go(index) {
    const turn = this.turn += 1
    const dataset = this.datasets[index]
    this.index = index
    this.shown.close?.()
    this.shown = {}
    if (this.select) this.select.value = String(index)
    this.link.href = aboutAddress(this.page, dataset)
    this.tools.replaceChildren()
    this.body.replaceChildren()
    this.body.scrollTop = 0
    this.body.setAttribute("aria-label", this.name(dataset, index))
    this.page.root.dispatchEvent(new CustomEvent("viewer:active"))
    this.say("Loading …")
    try {
      const shown = await this.fill(dataset, this)
      if (turn !== this.turn) { shown?.close?.(); return }
      this.shown = shown ?? {}
      this.page.root.dispatchEvent(new CustomEvent("viewer:active"))
      this.say("")
    } catch (error) {
      if (turn === this.turn) this.say(error.message, true)
    }
  }

  say(words, isFailure = false) {
    this.status.textContent = words
    this.status.toggleAttribute("data-failed", isFailure)
  }

  close() {
    this.turn += 1
    this.shown.close?.()
    this.shown = {}
  }

  toggle() { this.shown.toggle?.() }

  // Does what a button of the bar says, where that means something for a document; gives whether it does.
  act(name) {
    if (!this.actions.has(name)) return false
    const does = { larger: () => this.zoomBy(1.25), smaller: () => this.zoomBy(0.8), fit: () => this.shown.fit(), cine: () => this.toggle() }
    does[name]()
    return true
  }

  // Which of those mean something for what is shown.
  get actions() {
    const { zoomBy, fit, toggle } = this.shown
    return new Set([...(zoomBy ? ["larger", "smaller"] : []), ...(fit ? ["fit"] : []), ...(toggle ? ["cine"] : [])])
  }

  zoomBy(factor) { this.shown.zoomBy?.(factor) }

  scroll(steps) {
    if (this.shown.scroll) { this.shown.scroll(steps); return }
    const { body } = this
    if (!Number.isFinite(steps)) body.scrollTop = steps > 0 ? body.scrollHeight : 0
    else body.scrollBy(0, Math.abs(steps) >= 10 ? Math.sign(steps) * body.clientHeight * 0.9 : steps * STEP)
  }

  // Shows the object that another one refers to, and the part of it; gives whether it is here.
  async reveal(reference) {
    const index = this.datasets.findIndex((dataset) => text(dataset, "00080018") === reference.sop)
    if (index < 0) return false
    if (index !== this.index) await this.go(index)
    this.shown.reveal?.(reference)
    return true
  }

  #chooser() {
    if (this.datasets.length < 2) return element("span", { className: "document-name" }, this.name(this.datasets[0], 0))
    this.select = element("select", { attributes: { "aria-label": "Object of the series" } },
      ...this.datasets.map((dataset, index) => new Option(`${index + 1}. ${this.name(dataset, index)}`, String(index))))
    this.select.addEventListener("change", () => this.go(Number(this.select.value)))
    const move = (step) => () => { if (this.datasets[this.index + step]) this.go(this.index + step) }
    return element("span", { className: "set" }, button("Previous", move(-1)), this.select, button("Next", move(1)),
      element("span", { className: "fine" }, `${this.datasets.length} in this series`))
  }
}
