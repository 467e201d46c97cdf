// References of a document to other objects: where they are, and opening them in another viewport.
import { framesOf, text, value, values } from "../dicom.js"
import { datastoreAddress } from "./about.js"
import { button, element } from "./element.js"
import { nearestFrame } from "./region_layer.js"
import { kindName } from "./sop_classes.js"

const EVIDENCE = ["0040A375", "0040A385", "0040A360", "0040A525"]

export class References {
  constructor(host, dataset) {
    this.host = host
    this.page = host.page
    this.study = text(dataset, "0020000D")
    this.places = new Map()
    for (const tag of EVIDENCE) this.#note(values(dataset, tag))
    for (const series of values(dataset, "00081115")) this.#noteSeries(series, this.study)
  }

  #note(studies) {
    for (const study of studies) for (const series of values(study, "00081115")) this.#noteSeries(series, text(study, "0020000D"))
  }

  #noteSeries(series, study) {
    for (const object of [...values(series, "00081199"), ...values(series, "00081140")]) {
      this.places.set(text(object, "00081155"), { study, series: text(series, "0020000E") })
    }
  }

  // A way to what is referred to, or words that it is not here. `after(viewport)` is called when it is shown.
  link(reference, after = () => {}) {
    const words = this.words(reference)
    const place = this.places.get(reference.sop)
    if (place && place.study && place.study !== this.study) {
      const query = new URLSearchParams({ study: place.study, series: place.series })
      return element("span", {}, element("a", { href: `${datastoreAddress(this.page)}/view?${query}`, target: "_blank" }, words), " (another study)")
    }
    if (place && !this.page.series.has(place.series)) return element("span", {}, `${words} (not here)`)
    return this.#opener(words, "not here", after, async () => {
      const series = place?.series ?? await this.#find(reference.sop)
      return series && this.#open(series, reference)
    })
  }

  // A way to the image of the study that a region of the patient lies in.
  linkInSpace(frameOfReference, points, after) {
    return this.#opener("the images it lies in", "no image here lies in its frame of reference", after, async () => {
      for (const [uid, series] of this.page.series) {
        const own = text(series, "00200052")
        if ((own && own !== frameOfReference) || value(series, "00201209") === 0) continue
        const pictures = (await this.page.datasetsOf(uid).catch(() => [])).filter((dataset) => value(dataset, "00280010") && text(dataset, "00080060") !== "SEG")
        const nearest = nearestFrame(pictures.flatMap((dataset) => framesOf(dataset, this.page.pathOf(uid))), frameOfReference, points)
        if (nearest) return this.#open(uid, { sop: nearest.sop, frames: [nearest.index + 1] })
      }
      return null
    })
  }

  #opener(words, nothing, after, open) {
    const told = element("span", { attributes: { role: "status" } })
    const show = async () => {
      told.textContent = ""
      try {
        const viewport = await open()
        if (viewport) after(viewport)
        else told.textContent = ` (${nothing})`
      } catch (error) {
        told.textContent = ` ${error.message}`
      }
    }
    return element("span", {}, button(words, show, { className: "link", title: "Show it beside this document" }), told)
  }

  words({ sop, kind, frames, segments, channels }) {
    const series = this.page.series.get(this.places.get(sop)?.series)
    const list = (name, numbers) => (numbers.length ? `, ${name}${numbers.length > 1 ? "s" : ""} ${numbers.join(", ")}` : "")
    return kindName(kind) + list("frame", frames) + list("segment", segments)
      + list("channel", channels.map(([group, channel]) => `${group}.${channel}`)) + (series ? ` of ${seriesWords(series)}` : "")
  }

  async #find(sop) {
    const [found] = await this.page.json(`${this.page.base}/instances?SOPInstanceUID=${encodeURIComponent(sop)}&limit=1`)
    return found ? text(found, "0020000E") : null
  }

  async #open(series, reference) {
    const { page } = this
    const own = this.host.viewport
    if (page.viewports.filter(({ element: { hidden } }) => !hidden).length < 2) page.setLayout(2)
    const others = page.viewports.filter((viewport) => viewport !== own && !viewport.element.hidden)
    const viewport = others.find(({ wanted }) => wanted === series) ?? others[0]
    if (viewport.wanted !== series || !(viewport.stack || viewport.guest)) await page.openSeries(series, viewport)
    page.say("")
    if (viewport.guest) return (await viewport.guest.reveal?.(reference)) === false ? null : viewport
    const frame = (reference.frames[0] ?? 1) - 1
    const index = viewport.stack?.frames.findIndex(({ sop, index: at }) => sop === reference.sop && at === frame) ?? -1
    if (index < 0) return null
    await viewport.stack.go(index)
    return viewport
  }
}

export const seriesWords = (series) => [`series ${value(series, "00200011") ?? ""}`.trim(), text(series, "0008103E")].filter(Boolean).join(", ")
