// Pages of a PDF by pdf.js: each on a canvas when it comes into view, with its text over it for selection and screen readers.
//
// Nothing of a PDF is carried out: no script, no form, no link of it, and no part of pdf.js that could is here.
import * as pdfjs from "../pdfjs/pdf.min.mjs"
import { button, element } from "./element.js"

const FOLDER = new URL("../pdfjs/", import.meta.url).href
const NEAR = "200%"
const MOST_PIXELS = 16_000_000
const MOST_IMAGE_PIXELS = 100_000_000
const ZOOM = { least: 0.25, most: 6 }
const GAP_PX = 24
// No page becomes larger by itself.
const WIDEST = 2

// Character maps, symbol fonts and decoders of pictures. Were pdf.js told where they are, it would look there for fonts that
// we do not have, in place of those of the system.
const FOLDERS = { cMapUrl: "cmaps", standardFontDataUrl: "standard_fonts", wasmUrl: "wasm" }

class OwnFiles {
  async fetch({ kind, filename }) {
    const answer = await fetch(`${FOLDER}${FOLDERS[kind]}/${encodeURIComponent(filename)}`)
    if (!answer.ok) throw new Error(`There is no ${filename}.`)
    return new Uint8Array(await answer.arrayBuffer())
  }
}

pdfjs.GlobalWorkerOptions.workerSrc = `${FOLDER}pdf.worker.min.mjs`

export async function showPdf(data, host, title) {
  const loading = pdfjs.getDocument({
    data,
    BinaryDataFactory: OwnFiles,
    useSystemFonts: true,
    enableXfa: false,
    maxImageSize: MOST_IMAGE_PIXELS,
    verbosity: pdfjs.VerbosityLevel.ERRORS,
  })
  let pdf
  try {
    pdf = await loading.promise
  } catch (error) {
    await loading.destroy()
    throw new Error(wordsOf(error))
  }
  const pages = new Pages(pdf, loading, host, title)
  await pages.open()
  return pages
}

function wordsOf(error) {
  if (error.name === "PasswordException") return "This PDF is locked by a password. Save the file to open it elsewhere."
  if (error.name === "InvalidPDFException") return "This PDF is broken: its pages cannot be read. Save the file to see what another program makes of it."
  return `This PDF cannot be shown: ${error.message}`
}

class Pages {
  constructor(pdf, loading, host, title) {
    Object.assign(this, { pdf, loading, host, title })
    this.zoom = null
    this.pages = []
    this.current = 1
    this.near = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.pages[target.dataset.page - 1].setNear(isIntersecting)
    }, { root: host.body, rootMargin: NEAR })
    this.number = element("input", { type: "number", min: 1, max: pdf.numPages, value: 1, attributes: { "aria-label": "Page" } })
    this.number.addEventListener("change", () => this.goTo(Number(this.number.value)))
    this.onScroll = () => this.#follow()
    host.body.addEventListener("scroll", this.onScroll)
    this.resized = new ResizeObserver(() => { if (this.isFitting) this.#resize(this.#fitting()) })
  }

  async open() {
    const { pdf, host } = this
    const first = await pdf.getPage(1)
    const size = first.getViewport({ scale: 1 })
    this.list = element("article", { className: "pdf-pages" }, element("h2", { className: "visually-hidden" }, this.title))
    for (let index = 1; index <= pdf.numPages; index += 1) {
      const page = new PdfPage(pdf, index, size)
      this.pages.push(page)
      this.list.append(page.element)
    }
    host.body.append(this.list)
    host.tools.prepend(
      element("label", {}, "Page ", this.number, ` of ${pdf.numPages}`),
      button("−", () => this.zoomBy(0.8), { ariaLabel: "Smaller", title: "Smaller (-)" }),
      button("+", () => this.zoomBy(1.25), { ariaLabel: "Larger", title: "Larger (+)" }),
      button("Fit width", () => this.fit(), { title: "Fit width (0)" }))
    this.fit()
    for (const { element: one } of this.pages) this.near.observe(one)
    this.resized.observe(host.body)
    await this.pages[0].setNear(true)
  }

  close() {
    this.near.disconnect()
    this.resized.disconnect()
    this.host.body.removeEventListener("scroll", this.onScroll)
    this.loading.destroy()
  }

  fit() {
    this.isFitting = true
    this.#resize(this.#fitting())
  }

  zoomBy(factor) {
    this.isFitting = false
    this.#resize(Math.min(ZOOM.most, Math.max(ZOOM.least, this.zoom * factor)))
  }

  // Arrows and the wheel move within a page, Page up and down from page to page, Home and End to the ends.
  scroll(steps) {
    const { body } = this.host
    if (!Number.isFinite(steps)) this.goTo(steps > 0 ? this.pages.length : 1)
    else if (Math.abs(steps) >= 10) this.goTo(this.current + Math.sign(steps))
    else body.scrollBy(0, steps * 80)
  }

  goTo(number) {
    const page = this.pages[Math.min(this.pages.length, Math.max(1, Math.round(number) || 1)) - 1]
    this.host.body.scrollTop = page.element.offsetTop - GAP_PX / 2
    this.#follow()
  }

  // The size at which the first page is as wide as there is room.
  #fitting() { return Math.min(WIDEST, Math.max(ZOOM.least, (this.host.body.clientWidth - GAP_PX) / this.pages[0].size.width)) }

  #resize(zoom) {
    if (!(zoom > 0) || zoom === this.zoom) return
    const { body } = this.host
    const share = body.scrollTop / Math.max(1, body.scrollHeight)
    this.zoom = zoom
    for (const page of this.pages) page.resize(zoom)
    body.scrollTop = share * body.scrollHeight
  }

  #follow() {
    const middle = this.host.body.scrollTop + this.host.body.clientHeight / 3
    const index = this.pages.findLastIndex(({ element: { offsetTop } }) => offsetTop <= middle)
    this.current = Math.max(0, index) + 1
    this.number.value = String(this.current)
  }
}

class PdfPage {
  constructor(pdf, number, size) {
    Object.assign(this, { pdf, number, size, isNear: false, task: null, drawnAt: null })
    this.element = element("section", { className: "pdf-page", dataset: { page: String(number) }, attributes: { "aria-label": `Page ${number} of ${pdf.numPages}` } })
  }

  resize(zoom) {
    this.zoom = zoom
    this.element.style.width = `${Math.floor(this.size.width * zoom)}px`
    this.element.style.height = `${Math.floor(this.size.height * zoom)}px`
    this.#draw()
  }

  async setNear(isNear) {
    this.isNear = isNear
    if (isNear) await this.#draw()
    else this.#empty()
  }

  #empty() {
    this.task?.cancel()
    this.drawnAt = null
    this.element.replaceChildren()
  }

  async #draw() {
    if (!this.isNear || this.drawnAt === this.zoom) return
    this.task?.cancel()
    const zoom = this.drawnAt = this.zoom
    try {
      const page = await this.pdf.getPage(this.number)
      const own = page.getViewport({ scale: 1 })
      if (own.width !== this.size.width || own.height !== this.size.height) {
        this.size = own
        this.element.style.width = `${Math.floor(own.width * zoom)}px`
        this.element.style.height = `${Math.floor(own.height * zoom)}px`
      }
      const ratio = Math.min(window.devicePixelRatio || 1, Math.sqrt(MOST_PIXELS / (own.width * own.height)) / zoom)
      const viewport = page.getViewport({ scale: zoom * ratio })
      const canvas = element("canvas", { width: Math.floor(viewport.width), height: Math.floor(viewport.height), attributes: { "aria-hidden": "true" } })
      this.task = page.render({ canvas, viewport })
      await this.task.promise
      const words = element("div", { className: "pdf-text" })
      words.style.setProperty("--total-scale-factor", String(zoom))
      await new pdfjs.TextLayer({ textContentSource: page.streamTextContent(), container: words, viewport: page.getViewport({ scale: zoom }) }).render()
      if (this.drawnAt !== zoom || !this.isNear) return
      const isSilent = !words.textContent.trim()
      this.element.replaceChildren(canvas, words, ...(isSilent ? [element("p", { className: "visually-hidden" }, "This page has no text that can be read aloud: it is a picture.")] : []))
    } catch (error) {
      if (error.name === "RenderingCancelledException" || this.drawnAt !== zoom) return
      this.element.replaceChildren(element("p", { className: "pdf-failure" }, `Page ${this.number} cannot be shown: ${error.message}`))
    }
  }
}
