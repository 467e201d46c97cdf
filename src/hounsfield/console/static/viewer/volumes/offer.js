// The button that shows the active series as a volume; where it is none, the button says why.
import { framesOfSeries } from "../dicom.js"
import { volumeOf } from "./geometry.js"

export class VolumeOffer {
  constructor(page) {
    this.page = page
    this.button = page.root.querySelector('[data-action="volume"]')
    this.reasons = new Map()
    for (const event of ["viewer:active", "viewer:series"]) page.root.addEventListener(event, () => this.#offer())
  }

  // Shows the volume, or the images again.
  async toggle() {
    const { page } = this
    if (page.whole) { page.releaseStage(); return }
    const uid = page.active.wanted
    const reason = await this.#reason(uid)
    if (reason) { page.say(`No volume: ${reason}`); return }
    const { openVolume } = await import("./volume.js")
    if (uid === page.active.wanted) await openVolume(page, uid)
  }

  // Forgets what was found of a series that has changed.
  forget(uid) { this.reasons.delete(uid) }

  async #offer() {
    const uid = this.page.active.wanted
    const reason = await this.#reason(uid).catch((error) => error.message)
    if (uid !== this.page.active.wanted) return
    this.button.setAttribute("aria-disabled", String(Boolean(reason)))
    this.button.title = reason ? `No volume: ${reason}` : "Planes and three dimensions (U)"
    this.button.dataset.of = uid ?? ""
  }

  // Why a series is no volume; null where it is one.
  async #reason(uid) {
    if (!uid) return "No series is open."
    if (!this.reasons.has(uid)) this.reasons.set(uid, volumeOf(framesOfSeries(await this.page.datasetsOf(uid), this.page.pathOf(uid))).reason ?? null)
    return this.reasons.get(uid)
  }
}
