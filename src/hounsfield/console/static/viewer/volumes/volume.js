// A series as a volume: axial, coronal and sagittal planes with a crosshair, and a picture in three dimensions.
import { patientLines, pictureName, studyLines } from "../captions.js"
import { framesOfSeries } from "../dicom.js"
import { savePicture } from "../picture_file.js"
import { PlanePane, element } from "./plane_pane.js"
import { Slices } from "./slices.js"
import { SpacePane } from "./space_pane.js"
import { valueAt } from "./reslice.js"
import { suvOf } from "../suv.js"
import { loadStyles } from "../styles.js"
import { add, dot, length, minus, scaled } from "../vectors.js"
import { round } from "../viewport.js"
import { PATIENT_AXES, obliquity, ownAxes, placeText, planesAlong, spacingAlong, thinned, toIndex, toPatient, volumeOf } from "./geometry.js"
import { Voxels } from "./voxels.js"

// How large an array of voxels may be; less where the machine has little memory (navigator.deviceMemory, in GiB).
const MOST_BYTES = 640 * 1024 ** 2
const MEMORY_SHARE = 1 / 8
// How often what has come is shown while more comes.
const PAUSE_MS = 600
// Of more slices than this, every second one is enough to begin with: half of the resolution along them, too.
const MANY_SLICES = 256
const UNITS = { CT: "HU" }

// Shows a series in place of the images of the stage; rejects with the reason in words where it is no volume.
export async function openVolume(page, uid) {
  const { volume, reason } = volumeOf(framesOfSeries(await page.datasetsOf(uid), page.pathOf(uid)))
  if (reason) throw new Error(reason)
  const most = Math.min(MOST_BYTES, (navigator.deviceMemory ?? 8) * MEMORY_SHARE * 1024 ** 3)
  const [whole, half] = [Voxels.bytesOf(volume, 1), Voxels.bytesOf(volume, 2)]
  if (half > most) throw new Error(`The volume is too large to be shown here: ${megabytes(half)} at half of its resolution, and ${megabytes(most)} is the most.`)
  await loadStyles(new URL("volume.css", import.meta.url).href)
  // Another series may have been opened meanwhile.
  if (page.active.wanted !== uid) return null
  const view = new VolumeView(page, volume)
  // What would be fetched ahead of images comes with the volume.
  page.active.stack?.ahead.abort()
  page.occupyStage(view)
  view.load(whole <= most ? null : `Half resolution: the whole volume has ${megabytes(whole)}, and ${megabytes(most)} is the most.`)
  return view
}

const megabytes = (bytes) => (bytes < 1024 ** 2 ? `${(bytes / 1024 ** 2).toFixed(2)} MiB` : `${Math.round(bytes / 1024 ** 2)} MiB`)

export class VolumeView {
  constructor(page, volume) {
    this.isVolume = true
    this.page = page
    this.volume = volume
    this.voxels = null
    this.isLoading = true
    this.isInverted = false
    this.hasTexts = true
    this.zoom = 1
    this.scale = 1
    this.slab = { thickness: 0, mode: "most" }
    this.alongPatient = false
    this.failures = new Map()
    this.told = -Infinity
    this.control = new AbortController()
    this.waiting = new Set()
    const [first] = volume.frames
    this.chosenWindow = first.windows[0] ?? null
    this.unit = first.unit || UNITS[first.modality] || ""
    this.middle = toPatient(volume, volume.size.map((count) => (count - 1) / 2))
    this.viewport = page.active
    this.uid = page.active.wanted
    // Of the images the one that is being read, else the one in the middle.
    const read = volume.frames.findIndex(({ path }) => path === this.viewport.frame?.path)
    this.begin = volume.size.map((count, axis) => (axis === 2 && read >= 0 ? read : Math.floor((count - 1) / 2)))
    this.cursor = toPatient(volume, this.begin)
    this.element = element("section", { class: "volume", "aria-label": "Volume" })
    this.planes = ["Axial", "Coronal", "Sagittal"].map((name) => new PlanePane(this, name))
    this.space = new SpacePane(this)
    this.panes = [...this.planes, this.space]
    this.active = this.planes[0]
    const grid = element("div", { class: "panes" })
    grid.append(this.planes[0].element, this.planes[2].element, this.planes[1].element, this.space.element)
    this.grid = grid
    this.#setAxes()
    this.element.append(this.#bar(), grid)
    this.#tellOverlays()
    page.root.addEventListener("viewer:overlays", () => this.#tellOverlays(), { signal: this.control.signal })
    for (const pane of this.panes) {
      const button = element("button", { type: "button", class: "tool enlarge", "aria-pressed": "false" }, "Enlarge")
      button.addEventListener("click", () => this.enlarge(pane))
      pane.element.append(button)
      pane.element.addEventListener("dblclick", (event) => { if (!event.target.closest("button, select, input, label")) this.enlarge(pane) })
    }
  }

  get window() { return this.chosenWindow ?? this.#rangeWindow }
  get #rangeWindow() {
    const { low, high } = this.voxels
    return { center: (low + high) / 2, width: Math.max(1e-6, high - low), curve: "LINEAR_EXACT", name: "Whole range" }
  }
  get windowText() {
    const { width, center, name, table } = this.window
    return table ? name : `W ${round(width)} C ${round(center)}${name ? ` ${name}` : ""}${this.isInverted ? " inverted" : ""}`
  }

  get patientTexts() {
    const { dataset } = this.volume.frames[0]
    return patientLines(dataset)
  }
  get studyTexts() {
    const { dataset } = this.volume.frames[0]
    return studyLines(dataset)
  }

  // Loads half of the resolution and shows it as it comes, then the whole; why it stays at half is said.
  async load(whyHalf) {
    const { store } = this.page
    const slices = new Slices(store, this.begin[2] / Math.max(1, this.volume.size[2] - 1), () => this.say("The server cannot be reached. Trying again."))
    this.say(`Loading ${this.volume.frames.length} images …`)
    const { signal } = this.control
    try {
      const isThinned = !whyHalf && this.volume.frames.length > MANY_SLICES
      const half = new Voxels(isThinned ? thinned(this.volume) : this.volume, 2)
      const failures = await slices.loadHalf(half.frames, (slice, picture) => this.#receive(half, slice, picture, "Half resolution"), signal)
      if (whyHalf && !failures) throw new Error("The volume is too large for its whole resolution, and its images are not stored so that half of it could be had.")
      if (failures) this.#finish(half, failures)
      // Where bytes come fast, the processor has enough to do with the whole; and the picture is made of that.
      if (failures && (whyHalf || !store.isFast)) this.#showSpace(half)
      if (whyHalf) { this.say(whyHalf, ""); return }
      this.isLoading = true
      const whole = new Voxels(this.volume, 1)
      // The same window before and after, where it is that of all values.
      if (failures && !failures.size && !isThinned) whole.takeRange(half)
      const lost = await slices.loadFull(whole.frames, (slice, picture) => this.#receive(whole, slice, picture, "Full resolution", Boolean(failures)), signal)
      this.#finish(whole, lost)
      this.#showSpace(whole)
    } catch (error) {
      if (error.name === "AbortError") return
      this.isLoading = false
      this.say(error instanceof RangeError ? "There is not enough memory for the volume." : error.message)
    }
  }

  // Keeps a slice. At first what is there is shown at once; a whole volume takes the place of its half when all is there.
  #receive(voxels, slice, picture, words, isBehind = false) {
    voxels.put(slice, picture)
    const now = performance.now()
    if (!isBehind) this.voxels = voxels
    if (now - this.told < PAUSE_MS) return
    this.told = now
    this.say(`${words}: ${voxels.present.reduce((sum, one) => sum + one, 0)} of ${voxels.present.length} images …`)
    if (!isBehind) this.redraw()
  }

  #finish(voxels, failures) {
    this.voxels = voxels
    this.failures = failures
    this.isLoading = false
    this.element.dataset.resolution = voxels.factor === 1 ? "full" : "half"
    this.say(this.#outcome(voxels), this.space.isEmpty ? "Loading …" : "")
    this.redraw()
  }

  #outcome({ factor, frames }) {
    const what = factor === 1 ? "Full resolution" : "Half resolution"
    if (!this.failures.size) return what
    const [[slice, error]] = this.failures
    const which = this.failures.size === 1 ? `Image ${this.volume.frames.indexOf(frames[slice]) + 1} is` : `${this.failures.size} images are`
    const why = error.passes && !error.status ? "The connection to the server was lost." : error.message
    return `${what}. ${which} missing and shown in red: ${why}`
  }

  #showSpace(voxels) {
    this.space.take(voxels, this.control.signal).catch((error) => this.space.fail(error))
  }

  // Says what happens; panes that have nothing to show yet say it, too, or what they wait for.
  say(words, waiting = words) {
    this.status.textContent = words
    for (const pane of this.panes) if (pane.isEmpty) pane.message.textContent = waiting
  }

  // Overlays are of images; nobody shall take a volume without them for one that has none.
  #tellOverlays() {
    const titles = this.viewport.layers.map(({ title, isOfPlanes }) => title || (isOfPlanes ? "overlay planes" : "")).filter(Boolean)
    this.overlays.textContent = titles.length ? `Not shown in the volume: ${[...new Set(titles)].join(", ")}` : ""
  }

  // What there is to set for all panes.
  #bar() {
    const bar = element("div", { class: "volume-bar", role: "toolbar", "aria-label": "Volume" })
    const images = element("button", { type: "button", class: "tool" }, "Back to images")
    images.addEventListener("click", () => this.page.releaseStage())
    const axes = choice("Planes along", [["images", "the images"], ["patient", "the patient"]])
    axes.select.addEventListener("change", () => { this.alongPatient = axes.select.value === "patient"; this.#setAxes(); this.redraw() })
    const isOblique = planesAlong(ownAxes(this.volume)).some((plane) => obliquity(plane) > 0.05)
    axes.label.hidden = !isOblique
    const thickness = choice("Slab", [["0", "none"], ...[3, 5, 10, 20, 50, 100].map((mm) => [String(mm), `${mm} mm`])])
    const mode = choice("of", [["most", "largest (MIP)"], ["mean", "mean"], ["least", "least (MinIP)"]])
    for (const { select } of [thickness, mode]) select.addEventListener("change", () => { this.slab = { thickness: Number(thickness.select.value), mode: mode.select.value }; this.redraw() })
    this.probe = element("output", { class: "probe", "aria-label": "At the crosshair" })
    this.status = element("p", { class: "volume-status", role: "status" })
    this.overlays = element("p", { class: "volume-overlays", role: "status" })
    bar.append(images, axes.label, thickness.label, mode.label, this.probe, this.overlays, this.status)
    return bar
  }

  #setAxes() {
    const axes = this.alongPatient ? PATIENT_AXES : ownAxes(this.volume)
    const planes = planesAlong(axes)
    this.planes.forEach((pane, index) => { pane.axes = planes[index] })
    if (!this.alongPatient) this.cursor = this.#snapped(this.cursor)
    this.fit()
  }

  // The middle of the nearest voxel, so that a plane along the images shows values as they are stored.
  #snapped(point) {
    const { size } = this.volume
    return toPatient(this.volume, toIndex(this.volume, point).map((at, axis) => Math.min(size[axis] - 1, Math.max(0, Math.round(at)))))
  }

  #kept(point) {
    const { size } = this.volume
    return toPatient(this.volume, toIndex(this.volume, point).map((at, axis) => Math.min(size[axis] - 1, Math.max(0, at))))
  }

  moveTo(point) {
    const before = this.cursor
    this.cursor = this.alongPatient ? this.#kept(point) : this.#snapped(point)
    const way = minus(this.cursor, before)
    this.redraw(this.planes.filter(({ axes }) => Math.abs(dot(way, axes.normal)) > 1e-6))
  }

  stepAlong(normal) { return spacingAlong(this.volume, normal) }

  scroll(steps, pane = this.active) {
    if (pane === this.space) return
    const { normal } = pane.axes
    const reach = 2 * length(minus(toPatient(this.volume, this.volume.size), this.volume.origin))
    const way = Number.isFinite(steps) ? steps * this.stepAlong(normal) : Math.sign(steps) * reach
    if (Number.isFinite(steps) || !this.alongPatient) { this.moveTo(add(this.cursor, scaled(normal, way))); return }
    // To the last place along the normal that lies in the volume.
    let [near, far] = [0, way]
    for (let step = 0; step < 30; step += 1) {
      const middle = (near + far) / 2
      const index = toIndex(this.volume, add(this.cursor, scaled(normal, middle)))
      if (index.every((at, axis) => at >= 0 && at <= this.volume.size[axis] - 1)) near = middle
      else far = middle
    }
    this.moveTo(add(this.cursor, scaled(normal, near)))
  }

  // Which layer of voxels a plane along the images goes through; none along the patient where the two differ.
  numberOf(normal) {
    const shares = this.volume.inverse.map((row) => dot(row, normal))
    const axis = shares.map(Math.abs).indexOf(Math.max(...shares.map(Math.abs)))
    if (this.alongPatient && Math.abs(Math.abs(dot(normal, scaled(this.volume.steps[axis], 1 / length(this.volume.steps[axis])))) - 1) > 1e-6) return {}
    const count = this.volume.size[axis]
    const at = Math.round(toIndex(this.volume, this.cursor)[axis])
    return { number: shares[axis] > 0 ? at + 1 : count - at, count }
  }

  // Planes a voxel apart, as many to both sides as lie within the slab.
  slabOf(normal) {
    const { thickness, mode } = this.slab
    if (!thickness) return null
    const step = this.stepAlong(normal)
    // No plane beyond the volume has anything, however small its voxels are.
    const most = this.volume.size.reduce((sum, count) => sum + count, 0)
    return { layers: 2 * Math.min(most, Math.floor(thickness / 2 / step + 1e-6)) + 1, step: scaled(normal, step), mode }
  }
  get slabText() {
    const { thickness, mode } = this.slab
    return thickness ? `Slab ${thickness} mm, ${{ most: "MIP", mean: "mean", least: "MinIP" }[mode]}` : ""
  }

  // Millimetres for a pixel, the same in all planes, so that the volume fits into each.
  fit() {
    const { size, steps } = this.volume
    const extent = (axis) => size.reduce((sum, count, at) => sum + Math.abs(dot(steps[at], axis)) * count, 0)
    const shown = this.planes.filter(({ canvas }) => canvas.width > 1)
    this.fitScale = Math.max(1e-6, ...shown.flatMap(({ axes: { right, down }, canvas }) => [extent(right) / canvas.width, extent(down) / canvas.height]))
    this.scale = this.fitScale / this.zoom
    this.redraw()
  }

  zoomBy(factor) {
    if (this.active === this.space) { this.space.zoomBy(factor); return }
    this.zoom = Math.min(64, Math.max(0.1, this.zoom * factor))
    this.scale = this.fitScale / this.zoom
    this.redraw()
  }

  dragWindow(dx, dy) {
    if (!this.voxels) return
    const { center, width, curve } = this.window.table ? this.#rangeWindow : this.window
    const speed = Math.max(0.001, width / 256)
    const least = curve === "LINEAR" ? 1 : Number.EPSILON
    this.setWindow({ curve, width: Math.max(least, width + dx * speed), center: center + dy * speed, name: "" })
  }

  setWindow(window) {
    this.chosenWindow = window
    this.redraw(this.planes)
  }

  enlarge(pane) {
    const isLarge = this.grid.dataset.large === "yes" && pane.element.hasAttribute("data-large")
    for (const one of this.panes) {
      one.element.toggleAttribute("data-large", one === pane && !isLarge)
      one.element.querySelector(".enlarge").setAttribute("aria-pressed", String(one === pane && !isLarge))
    }
    this.grid.dataset.large = isLarge ? "no" : "yes"
    this.space.redraw()
  }

  activate(pane) { this.active = pane }

  // Whether a pane says whose images they are: the first one does, and one that is alone.
  isNamed(pane) { return pane === this.planes[0] || pane.element.hasAttribute("data-large") }

  // Draws at the next frame of the screen: planes whose values change, and the crosshair of the others.
  redraw(planes = this.planes) {
    for (const pane of planes) this.waiting.add(pane)
    if (this.frameAsked) return
    this.frameAsked = requestAnimationFrame(() => {
      this.frameAsked = 0
      if (!this.voxels) return
      for (const pane of this.planes) {
        if (this.waiting.has(pane)) pane.draw()
        else pane.drawLines()
      }
      this.waiting.clear()
      this.#writeProbe()
    })
  }

  #writeProbe() {
    const found = valueAt(this.voxels, this.cursor)
    const words = Number.isFinite(found) ? `${Number(found.toPrecision(6))}${this.unit ? ` ${this.unit}` : ""}${this.#uptakeText(found)}` : "no value"
    // A value of half of the resolution is a mean of voxels, not what is stored.
    this.probe.textContent = `${placeText(this.cursor)}: ${words}${this.voxels.factor === 1 ? "" : " at half of the resolution"}`
  }

  // The standardised uptake value, by the image that is nearest to the crosshair.
  #uptakeText(found) {
    const { frames, size } = this.volume
    if (frames[0].modality !== "PT") return ""
    const { dataset } = frames[Math.min(size[2] - 1, Math.max(0, Math.round(toIndex(this.volume, this.cursor)[2])))]
    this.datasets ??= [...new Set(frames.map((frame) => frame.dataset))]
    if (this.uptake?.dataset !== dataset) this.uptake = { dataset, ...suvOf(dataset, this.datasets) }
    return this.uptake.factor ? `, SUVbw ${(found * this.uptake.factor).toFixed(2)} g/ml` : ""
  }

  reset() {
    Object.assign(this, { zoom: 1, isInverted: false, chosenWindow: this.volume.frames[0].windows[0] ?? null })
    this.cursor = toPatient(this.volume, this.begin)
    for (const pane of this.planes) Object.assign(pane, { pan: [0, 0], lengths: [] })
    this.space.reset()
    this.fit()
  }

  // What the page's buttons and keys do here; false for what they do not.
  act(name) {
    const actions = {
      fit: () => { this.zoom = 1; for (const pane of this.planes) pane.pan = [0, 0]; this.fit() },
      larger: () => this.zoomBy(1.25),
      smaller: () => this.zoomBy(0.8),
      invert: () => { this.isInverted = !this.isInverted; this.redraw(); this.space.redraw() },
      reset: () => this.reset(),
      texts: () => { this.hasTexts = !this.hasTexts; this.redraw([]) },
      remove: () => { this.active.lengths?.pop(); this.redraw([]) },
      clear: () => { for (const pane of this.planes) pane.lengths = []; this.redraw([]) },
      range: () => this.setWindow(null),
      save: () => this.#save().catch(() => this.say("The picture cannot be saved.")),
    }
    actions[name]?.()
    return name in actions
  }

  // Saves the active pane as it is seen, and says whose it is also where another pane does.
  #save() {
    const { active } = this
    const { dataset } = this.volume.frames[0]
    const { number } = active.axes ? this.numberOf(active.axes.normal) : {}
    const what = [(active.name ?? "3d").toLowerCase(), number].filter(Boolean).join("-")
    // What another pane says of all of them, or what there was no room for.
    const right = active === this.space || !this.isNamed(active) ? this.studyTexts : []
    const left = this.isNamed(active) ? [] : this.patientTexts
    return savePicture(active.element, pictureName(dataset, what), this.hasTexts ? { left, right } : {})
  }

  // Arrows go through the planes, with Shift they move the crosshair within one.
  handleKey(event) {
    if (this.active === this.space && this.space.handleKey(event)) return true
    const steps = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity }[event.key]
    if (steps === undefined) return false
    const { right, down, normal } = this.active.axes ?? {}
    if (!normal) return false
    const arrows = { ArrowUp: scaled(down, -1), ArrowDown: down, ArrowLeft: scaled(right, -1), ArrowRight: right }
    if (event.shiftKey && arrows[event.key]) this.moveTo(add(this.cursor, scaled(arrows[event.key], this.stepAlong(arrows[event.key]))))
    else this.scroll(steps)
    return true
  }

  // Leads back to the image that is nearest to the crosshair, where its series is still the one that is open.
  #goToImage() {
    const { viewport, volume } = this
    if (!viewport.stack || viewport.opened !== this.uid) return
    const { path } = volume.frames[Math.min(volume.size[2] - 1, Math.max(0, Math.round(toIndex(volume, this.cursor)[2])))]
    const at = viewport.stack.frames.findIndex((frame) => frame.path === path)
    if (at >= 0) this.page.scroll(at - viewport.stack.index, viewport)
  }

  close() {
    this.#goToImage()
    this.control.abort()
    cancelAnimationFrame(this.frameAsked)
    this.space.close()
    this.voxels = null
  }
}

function choice(words, options) {
  const label = element("label", {}, words)
  const select = element("select")
  select.append(...options.map(([name, shown]) => new Option(shown, name)))
  label.append(select)
  return { label, select }
}
