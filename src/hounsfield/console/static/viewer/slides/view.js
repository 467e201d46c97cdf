// A slide in a viewport: OpenSeadragon draws the tiles; scale bar, texts, places, measurements and keys are ours.
import { text, value, values } from "../dicom.js"
import { element } from "../documents/element.js"
import { SVG } from "../measurements.js"
import { annotationsOf, drawAnnotations } from "./annotations.js"
import { segmentationsOf } from "./segmentation.js"
import { SlideMeasurements } from "./measurements.js"
import { SlideTiles } from "./tiles.js"
import { nameText } from "../documents/moments.js"
import { saveFile } from "../../save_file.js"

const AT_ONCE = 6
const ACTION_KEYS = { 0: "fit", Home: "fit", o: "actual", "+": "larger", "-": "smaller", "[": "left", "]": "right", h: "flipx", v: "flipy", x: "reset", t: "texts", k: "save", Delete: "remove" }
// So many frames say which values there are, where the file says nothing of a window.
const MOST_SAMPLED = 64
// Tiles that are kept as pictures: four bytes a pixel.
const MOST_KEPT_PIXELS = 2 ** 26
const LEAST_KEPT = 64
const MOST_KEPT = 5000
const FIRST_PAUSE_MS = 5000
const LONGEST_PAUSE_MS = 60000
// Of segments over the tiles.
const OPACITY = 0.5
// So many tiles of the smallest level may lie in the view; one zooms out no further.
const MOST_TILES = 400

export class SlideView {
  constructor({ page, series, viewport, slide, library }) {
    Object.assign(this, { page, series, viewport, slide, library })
    this.tiles = new SlideTiles(page.store)
    this.running = new Map()
    this.failures = new Map()
    this.hasTexts = true
    this.path = slide.paths[0].id
    this.z = nearest(slide.planesOf(this.path), 0)
    this.#build()
    this.#forgetWindow()
  }

  // Tiles of one component have a window, which is that of the path and plane.
  #forgetWindow() {
    const { image, plane } = this.slide.levels.findLast((level) => level.at(this.path, this.z)).at(this.path, this.z)
    this.tiles.forget(() => {
      const cells = image.across * image.down
      const count = Math.min(MOST_SAMPLED, cells)
      const chosen = Array.from({ length: count }, (_, index) => Math.floor((index * cells) / count))
      return chosen.flatMap((cell) => plane.framesAt(cell % image.across, Math.floor(cell / image.across))).map(({ index }) => image.frameAt(index))
    })
  }

  #build() {
    const make = (name, className, ...children) => {
      const element = Object.assign(document.createElement(name), { className })
      element.append(...children)
      return element
    }
    this.canvasBox = make("div", "slide-canvas")
    this.navigatorBox = make("div", "slide-navigator")
    this.annotationCanvas = make("canvas", "slide-annotations")
    this.drawing = document.createElementNS(SVG, "svg")
    this.drawing.setAttribute("aria-hidden", "true")
    this.barLine = make("div", "slide-scale-line")
    this.barWords = make("div", "slide-scale-words")
    this.bar = make("div", "slide-scale", this.barWords, this.barLine)
    this.patient = make("div", "text top-left")
    this.place = make("div", "text slide-place")
    this.notes = make("div", "slide-notes")
    this.notes.setAttribute("role", "status")
    this.controls = make("div", "slide-controls", ...this.#controls())
    this.element = make("div", "slide", this.canvasBox, this.annotationCanvas, this.drawing, this.patient, this.place, this.navigatorBox, this.bar, this.notes, this.controls)
    this.measurements = new SlideMeasurements(this)
    // The wheel zooms, and does not scroll images as well.
    this.element.addEventListener("wheel", (event) => event.stopPropagation())
    this.canvasBox.addEventListener("pointermove", (event) => this.#follow(event))
    this.canvasBox.addEventListener("pointerleave", () => { this.pointer = null; this.#writePlace() })
    this.whenOnline = () => this.again()
    window.addEventListener("online", this.whenOnline)
  }

  #controls() {
    const { slide } = this
    const found = []
    const choice = (words, options, chosen, choose) => {
      const label = Object.assign(document.createElement("label"), { textContent: `${words} ` })
      const select = document.createElement("select")
      select.append(...options.map(([name, key]) => new Option(name, key)))
      select.value = String(chosen)
      select.addEventListener("change", () => choose(select.value))
      label.append(select)
      found.push(label)
      return select
    }
    if (slide.paths.length > 1) choice("Optical path", slide.paths.map(({ id, words }) => [words, id]), this.path, (id) => this.choosePath(id))
    const planes = slide.planesOf(this.path)
    if (planes.length > 1) this.planeChoice = choice("Focal plane", planes.map((z) => [`${Number(z.toFixed(2))} µm`, z]), this.z, (z) => this.choosePlane(Number(z)))
    if (slide.beside.length) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "tool", textContent: "Label and overview" })
      button.addEventListener("click", () => this.#showBeside())
      found.push(button)
    }
    if ([...this.page.series.values()].some((series) => ["ANN", "SEG"].includes(text(series, "00080060")))) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "tool", textContent: "Annotations" })
      button.addEventListener("click", () => this.showAnnotations().catch((error) => this.page.say(error.message)))
      found.push(button)
    }
    return found
  }

  // Lists annotations and segments of the slide in the panel beside; those that are asked for are shown at once.
  async showAnnotations({ annotations = false, segmentation = null } = {}) {
    this.groups ??= await annotationsOf(this.page, this.slide)
    this.segmentations ??= await segmentationsOf(this.page, this.slide, text(this.series, "0020000E"))
    const list = element("ul", { className: "items" })
    if (!this.groups.length && !this.segmentations.length) list.append(element("li", {}, "The annotations of this study are about other slides."))
    const add = ({ colour, isShown, words, problem = "" }, toggle) => {
      const box = element("input", { type: "checkbox", checked: isShown })
      const swatch = element("span", { className: "swatch" })
      swatch.style.background = colour
      const status = element("p", { attributes: { role: "status" } }, problem)
      box.addEventListener("change", () => toggle(box.checked, status))
      list.append(element("li", {}, element("label", {}, box, swatch, element("span", {}, words)), status))
      return status
    }
    for (const group of this.groups) {
      const words = `${[group.label, group.meaning].filter(Boolean).join(", ")} (${group.count})`
      const status = add({ colour: group.colour, isShown: group.isShown || annotations, words }, (isShown, told) => this.#toggle(group, isShown, told))
      if (annotations) this.#toggle(group, true, status)
    }
    for (const one of this.segmentations) {
      if (one.uid === segmentation) for (const item of one.items) item.isVisible = true
      for (const item of one.items) add({ colour: item.css, isShown: item.isVisible, words: `${one.title}: ${item.name}` }, (isShown) => { item.isVisible = isShown; this.#lay(one) })
      for (const words of one.problems) list.append(element("li", {}, element("p", {}, `${one.title}: ${words}`)))
      if (one.uid === segmentation) this.#lay(one)
    }
    this.page.side.open("slide-annotations", "Annotations", element("div", { className: "overlays" }, list))
  }

  // Lays the segments of a segmentation that are chosen over the tiles.
  #lay(segmentation) {
    const { world } = this.viewer
    const turn = segmentation.turn = (segmentation.turn ?? 0) + 1
    if (segmentation.item) world.removeItem(segmentation.item)
    segmentation.item = null
    if (!segmentation.visible.length) { this.#changed(); return }
    const { z } = this
    const levels = segmentation.levels.map((entry) => ({ ...entry, has: (x, y) => segmentation.partsAt(entry, x, y, z).length > 0 })).reverse()
    const draw = (entry, x, y, signal) => segmentation.draw(entry, x, y, z, signal)
    this.viewer.addTiledImage({
      tileSource: Object.assign(this.#source(levels, `${segmentation.uid}/${turn}/${z}`, draw), { isOver: true }),
      opacity: OPACITY,
      success: ({ item }) => {
        if (turn !== segmentation.turn || this.isOver) { world.removeItem(item); return }
        segmentation.item = item
        fitTogether(item)
        this.#changed()
      },
    })
  }

  // Of a segmentation that has no small level nothing is drawn where it would be too many tiles.
  #boundSegmentations() {
    if (!this.segmentations) return
    const seen = this.viewer.viewport.getBounds(false).getBoundingBox()
    const words = []
    for (const { item, levels, title } of this.segmentations) {
      if (!item) continue
      const { image, level } = levels.at(-1)
      const across = (seen.width * this.slide.base.columns) / level.scale[0] / image.tileColumns
      const down = (seen.height * this.slide.width) / this.slide.base.spacing[0] / level.scale[1] / image.tileRows
      const isTooMuch = Math.min(across, image.across) * Math.min(down, image.down) > MOST_TILES
      item.setOpacity(isTooMuch ? 0 : OPACITY)
      if (isTooMuch) words.push(`${title} is shown when you zoom in.`)
    }
    this.segmentationWords ??= this.notes.appendChild(element("p", { hidden: true }))
    this.segmentationWords.textContent = words.join(" ")
    this.segmentationWords.hidden = !words.length
  }

  async #toggle(group, isShown, problem) {
    group.isShown = isShown
    problem.textContent = ""
    if (isShown) await group.load().catch((error) => { problem.textContent = `Not shown: ${error.message}` })
    this.#drawAnnotations()
  }

  #drawAnnotations() {
    const { annotationCanvas: canvas } = this
    const from = this.viewer.drawer.canvas
    if (canvas.width !== from.width || canvas.height !== from.height) Object.assign(canvas, { width: from.width, height: from.height })
    const context = canvas.getContext("2d")
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.clearRect(0, 0, canvas.width, canvas.height)
    if (this.isOver || !this.groups?.some(({ isShown }) => isShown)) return
    const ratio = this.library.pixelDensityRatio
    context.scale(ratio, ratio)
    this.#paintAnnotations(context)
  }

  #paintAnnotations(context) {
    const { x, y } = this.viewer.viewport.getContainerSize()
    const corners = [[0, 0], [x, 0], [x, y], [0, y]].map((place) => this.toMatrix(...place))
    const [columns, rows] = [0, 1].map((axis) => corners.map((corner) => corner[axis]))
    const box = [Math.min(...columns), Math.min(...rows), Math.max(...columns), Math.max(...rows)]
    // The transformation is linear: three places say it for all.
    const [origin, right, down] = [[0, 0], [1000, 0], [0, 1000]].map((place) => this.toScreen(place))
    const [ax, ay, bx, by] = [(right[0] - origin[0]) / 1000, (right[1] - origin[1]) / 1000, (down[0] - origin[0]) / 1000, (down[1] - origin[1]) / 1000]
    const toScreen = ([column, row]) => [origin[0] + column * ax + row * bx, origin[1] + column * ay + row * by]
    drawAnnotations(context, this.groups ?? [], { path: this.path, toScreen, box })
  }

  // Begins to draw, once the element is in the page: OpenSeadragon takes its size.
  open() {
    const { library, slide } = this
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches
    this.viewer = new library.Viewer({
      element: this.canvasBox,
      drawer: "canvas",
      showNavigationControl: false,
      keyboardNavEnabled: false,
      tabIndex: -1,
      showNavigator: true,
      navigatorElement: this.navigatorBox,
      navigatorDisplayRegionColor: "#4fb3c4",
      animationTime: isStill ? 0 : 0.3,
      springStiffness: 8,
      visibilityRatio: 0.3,
      minZoomImageRatio: 0.8,
      maxZoomPixelRatio: 16,
      imageLoaderLimit: AT_ONCE,
      maxTilesPerFrame: AT_ONCE,
      maxImageCacheCount: Math.min(MOST_KEPT, Math.max(LEAST_KEPT, Math.floor(MOST_KEPT_PIXELS / (slide.base.tileColumns * slide.base.tileRows)))),
      smoothTileEdgesMinZoom: Infinity,
      timeout: 120000,
      crossOriginPolicy: false,
      preserveViewport: true,
      preserveImageSizeOnResize: true,
      navigatorOpacity: 1,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true, flickEnabled: !isStill },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true, flickEnabled: !isStill },
      gestureSettingsPen: { clickToZoom: false, dblClickToZoom: true },
    })
    this.viewer.innerTracker.element.setAttribute("aria-hidden", "true")
    this.viewer.addHandler("tile-load-failed", (event) => this.#lose(event))
    this.viewer.addHandler("update-viewport", () => this.#changed())
    this.viewer.addHandler("animation-finish", () => this.#abandon())
    this.viewer.addHandler("resize", () => this.#changed())
    this.measurements.listen(this.viewer)
    const { image } = slide.levels.findLast((level) => level.at(this.path, this.z)).at(this.path, this.z)
    // The share of width and height that may be seen at once.
    this.leastShare = Math.min(1, Math.sqrt(MOST_TILES / (image.across * image.down)))
    this.isPartial = this.leastShare < 1
    this.navigatorBox.hidden = this.isPartial
    // The small picture shows where one is, and no segments.
    const small = this.viewer.navigator.world
    small.addHandler("add-item", ({ item }) => { if (item.source.isOver || this.isPartial) queueMicrotask(() => small.removeItem(item)) })
    this.#listenToWindow()
    this.#load()
    this.#write()
    this.notes.append(...slide.notes.map((words) => Object.assign(document.createElement("p"), { textContent: words })))
    if (this.isPartial) this.#note("This slide has no small level. It is shown a part at a time.")
  }

  // Drags change the window of tiles of one component; they are made again when it ends.
  #listenToWindow() {
    const isWindow = () => this.page.tool === "window" && this.tiles.window
    this.viewer.addHandler("canvas-drag", (event) => {
      if (!isWindow()) return
      event.preventDefaultAction = true
      const { window: shown } = this.tiles
      if (!Number.isFinite(shown.width)) return
      const speed = Math.max(0.001, shown.width / 256)
      const least = shown.curve === "LINEAR" ? 1 : Number.EPSILON
      this.tiles.window = { curve: shown.curve ?? "LINEAR", width: Math.max(least, shown.width + event.delta.x * speed), center: shown.center + event.delta.y * speed, name: "" }
      this.#writePlace()
    })
    this.viewer.addHandler("canvas-drag-end", (event) => {
      if (!isWindow()) return
      event.preventDefaultAction = true
      this.#load()
    })
  }

  // The tiles of the optical path and focal plane that are chosen.
  #load() {
    const { viewer } = this
    const isFirst = !this.loads
    const turn = this.loads = (this.loads ?? 0) + 1
    // Nothing of what was chosen before stays under what is chosen now.
    if (this.item) viewer.world.removeItem(this.item)
    this.item = null
    viewer.addTiledImage({
      tileSource: this.#tiles(turn),
      index: 0,
      success: ({ item }) => {
        if (turn !== this.loads || this.isOver) { viewer.world.removeItem(item); return }
        this.item = item
        fitTogether(item)
        if (!isFirst) return
        if (this.isPartial) viewer.viewport.minZoomLevel = viewer.viewport.getHomeZoom() / this.leastShare
        this.#goHome(true)
      },
    })
  }

  #tiles(turn) {
    const { path, z } = this
    const levels = this.slide.levels.map((level) => ({ level, ...level.at(path, z) })).filter(({ image }) => image).reverse()
    for (const entry of levels) entry.has = (x, y) => entry.plane.framesAt(x, y).length > 0
    return this.#source(levels, `${turn}/${path}/${z}`, ({ image, plane }, x, y, signal) => this.tiles.draw(image, plane, x, y, signal))
  }

  // What OpenSeadragon asks for tiles: of levels, the smallest first, as it counts them.
  #source(levels, key, draw) {
    const { library, slide } = this
    const { base, width, height } = slide
    const isTileOf = (level, x, y) => x >= 0 && y >= 0 && x < levels[level].image.across && y < levels[level].image.down
    const source = new library.TileSource({ width: base.columns, height: (base.columns * height) / width, tileSize: base.tileColumns, tileOverlap: Number.MIN_VALUE, minLevel: 0, maxLevel: levels.length - 1, ready: true })
    const [pixelX, pixelY] = [base.spacing[1] / width, base.spacing[0] / width]
    // In the coordinates of OpenSeadragon the slide is 1 wide; a pixel of a level is as wide as it is on the slide.
    const scaleOf = (level) => ({ x: levels[level].level.scale[0] * pixelX, y: levels[level].level.scale[1] * pixelY, left: levels[level].level.offset[0] * pixelX, top: levels[level].level.offset[1] * pixelY })
    const { Point, Rect } = library
    return Object.assign(source, {
      getLevelScale: (level) => 1 / (scaleOf(level).x * base.columns),
      getTileWidth: (level) => levels[level].image.tileColumns,
      getTileHeight: (level) => levels[level].image.tileRows,
      getNumTiles: (level) => new Point(levels[level].image.across, levels[level].image.down),
      getTileAtPoint: (level, { x, y }) => {
        const { image } = levels[level]
        const scale = scaleOf(level)
        const within = (place, most) => Math.min(most - 1, Math.max(0, Math.floor(place)))
        return new Point(within((x - scale.left) / scale.x / image.tileColumns, image.across), within((y - scale.top) / scale.y / image.tileRows, image.down))
      },
      getTileBounds: (level, x, y, isSource) => {
        const { image } = levels[level]
        const scale = scaleOf(level)
        const wide = Math.min(image.tileColumns, image.columns - x * image.tileColumns)
        const high = Math.min(image.tileRows, image.rows - y * image.tileRows)
        if (isSource) return new Rect(0, 0, wide, high)
        return new Rect(scale.left + x * image.tileColumns * scale.x, scale.top + y * image.tileRows * scale.y, wide * scale.x, high * scale.y)
      },
      tileExists: (level, x, y) => isTileOf(level, x, y) && levels[level].has(x, y),
      getTileUrl: (level, x, y) => `${key}/${level}/${x}/${y}`,
      getTileHashKey: (level, x, y) => `${key}/${level}/${x}/${y}`,
      hasTransparency: () => Boolean(source.isOver),
      equals: () => false,
      downloadTileStart: (job) => this.#fetch(job, (signal) => draw(levels[job.tile.level], job.tile.x, job.tile.y, signal)),
      downloadTileAbort: (job) => this.running.get(job)?.abort(),
    })
  }

  async #fetch(job, draw) {
    const { tile } = job
    const abort = new AbortController()
    this.running.set(job, abort)
    try {
      const context = await draw(abort.signal)
      this.failures.delete(tile.cacheKey)
      job.finish(context, null, "context2d")
    } catch (error) {
      job.fail(error.name === "AbortError" ? "" : error.message, { error, isLost: error.name !== "AbortError" })
    } finally {
      this.running.delete(job)
      this.#writeFailures()
    }
  }

  // A tile that was given up may be asked for again; one that does not come is marked, and the rest goes on.
  #lose({ tile, tiledImage, message, tileRequest }) {
    if (!tileRequest?.isLost && !message) {
      queueMicrotask(() => { tile.exists = true; tile.loading = false; tiledImage._needsUpdate = true })
      return
    }
    if (!tileRequest?.isLost) return
    const { status } = tileRequest.error
    if (status === 401 || status === 403) { this.#end(message); return }
    this.failures.set(tile.cacheKey, { tile, message })
    this.#changed()
    if (tileRequest.error.passes) this.#tryLater()
  }

  // What may pass is asked for again, less and less often.
  #tryLater() {
    if (this.later) return
    this.pause = Math.min(LONGEST_PAUSE_MS, (this.pause ?? FIRST_PAUSE_MS / 2) * 2)
    this.later = setTimeout(() => { this.later = null; this.#ask() }, this.pause)
  }

  // The right to see it was taken away, or the session is over: nothing of it stays.
  #end(message) {
    if (this.isOver) return
    this.isOver = true
    this.viewer.world.removeAll()
    this.viewer.navigator?.world.removeAll()
    this.failures.clear()
    this.drawing.replaceChildren()
    this.#drawAnnotations()
    this.patient.replaceChildren()
    this.place.replaceChildren()
    for (const name of ["slide-beside", "slide-annotations"]) this.page.side.close(name)
    this.controls.hidden = true
    const button = Object.assign(document.createElement("button"), { type: "button", className: "tool", textContent: "Load again" })
    button.addEventListener("click", () => this.page.openSeries(this.viewport.wanted, this.viewport).catch(this.page.fail))
    this.notes.replaceChildren(Object.assign(document.createElement("p"), { className: "slide-failure", textContent: message }), button)
  }

  // Asks once more for tiles that did not come.
  again() {
    this.pause = null
    this.#ask()
  }

  #ask() {
    if (this.isOver) return
    for (const { tile } of this.failures.values()) { tile.exists = true; tile.loading = false }
    for (let at = 0; at < this.viewer.world.getItemCount(); at += 1) this.viewer.world.getItemAt(at)._needsUpdate = true
    this.viewer.forceRedraw()
  }

  // Gives up tiles that are on their way and no longer looked at; OpenSeadragon drops those that wait.
  #abandon() {
    if (!this.item) return
    const seen = this.viewer.viewport.getBounds(false).getBoundingBox()
    const isSeen = ({ bounds }) => bounds.x < seen.x + seen.width && bounds.x + bounds.width > seen.x && bounds.y < seen.y + seen.height && bounds.y + bounds.height > seen.y
    for (const [job, abort] of this.running) if (job.tile.tiledImage.viewer === this.viewer && !isSeen(job.tile)) abort.abort()
  }

  #changed() {
    this.#abandon()
    this.#writeScale()
    this.#writePlace()
    this.measurements.draw()
    this.#drawAnnotations()
    this.#boundSegmentations()
    this.#writeFailures()
  }

  // From places in the largest matrix, in columns and rows, to pixels of the page, and back.
  toScreen([column, row]) {
    const { Point } = this.library
    const { base, width } = this.slide
    const point = this.viewer.viewport.pixelFromPoint(new Point((column * base.spacing[1]) / width, (row * base.spacing[0]) / width), true)
    return [point.x, point.y]
  }

  toMatrix(x, y) {
    const { base, width } = this.slide
    const point = this.viewer.viewport.pointFromPixel(new this.library.Point(x, y), true)
    return [(point.x * width) / base.spacing[1], (point.y * width) / base.spacing[0]]
  }

  // Pixels of the page in a millimetre, or where the file does not say in a pixel of the largest level.
  get pixelsPerUnit() {
    const { viewport } = this.viewer
    return (viewport.getContainerSize().x * viewport.getZoom(true)) / this.slide.width
  }

  #writeScale() {
    const { isCalibrated } = this.slide
    const unit = isCalibrated ? "mm" : "px"
    const length = niceLength(120 / this.pixelsPerUnit)
    this.barLine.style.width = `${length * this.pixelsPerUnit}px`
    this.barWords.textContent = isCalibrated ? lengthText(length) : `${length} ${unit} (not calibrated)`
    this.bar.dataset.length = String(length)
  }

  #follow(event) {
    const { left, top } = this.canvasBox.getBoundingClientRect()
    this.pointer = [event.clientX - left, event.clientY - top]
    this.#writePlace()
  }

  #writePlace() {
    const { slide, viewer } = this
    if (this.isOver) return
    const size = viewer.viewport?.getContainerSize()
    if (!size) return
    const [column, row] = this.toMatrix(...(this.pointer ?? [size.x / 2, size.y / 2]))
    const found = slide.slidePoint([column, row])
    const lines = [
      found ? `Slide x ${found[0].toFixed(4)} mm, y ${found[1].toFixed(4)} mm` : "",
      `Column ${Math.floor(column) + 1}, row ${Math.floor(row) + 1} of ${slide.base.columns} × ${slide.base.rows}`,
      this.#magnification(),
      Number.isFinite(this.tiles.window?.width) && `W ${significant(this.tiles.window.width)} C ${significant(this.tiles.window.center)}`,
    ]
    this.place.replaceChildren(...lines.filter(Boolean).map((line) => Object.assign(document.createElement("div"), { textContent: line })))
  }

  // The power of the objective holds for a pixel of the largest level; more or fewer pixels make it more or less.
  #magnification() {
    const { slide } = this
    if (!slide.isCalibrated) return ""
    const size = 1000 / this.pixelsPerUnit
    const power = Number(text(slide.paths.find(({ id }) => id === this.path)?.dataset, "00480112"))
    const shown = power > 0 ? `${significant((power * slide.base.spacing[1] * 1000) / size)}× (objective ${significant(power)}×), ` : ""
    return `${shown}${significant(size)} µm a pixel`
  }

  #write() {
    const { dataset, paths } = this.slide
    const lines = this.hasTexts ? [
      nameText(value(dataset, "00100010")),
      text(dataset, "00100020"),
      text(dataset, "00400512") && `Container ${text(dataset, "00400512")}`,
      ...values(dataset, "00400560").map((specimen) => `Specimen ${text(specimen, "00400551")}`),
      text(dataset, "0008103E"),
      paths.some(({ dataset: path }) => path?.["00282000"]) ? "The ICC profile of the file is not applied." : "",
      value(dataset, "00282110") === "01" ? `Stored with loss${text(dataset, "00282112") ? `, ${text(dataset, "00282112")} : 1` : ""}` : "",
    ] : []
    this.patient.replaceChildren(...lines.filter(Boolean).map((line) => Object.assign(document.createElement("div"), { textContent: line })))
  }

  #note(words) { this.notes.append(Object.assign(document.createElement("p"), { textContent: words })) }

  // Marks the tiles that did not come, and says why and how many.
  #writeFailures() {
    if (this.isOver) return
    this.failuresBox ??= this.notes.appendChild(Object.assign(document.createElement("div"), { hidden: true }))
    const { size } = this.failures
    const [first] = this.failures.values()
    const words = size ? `${size === 1 ? "1 tile does" : `${size} tiles do`} not come: ${first.message} What lies there is shown coarser or not at all.` : ""
    if (this.failuresBox.dataset.words !== words) {
      this.failuresBox.dataset.words = words
      const button = Object.assign(document.createElement("button"), { type: "button", className: "tool", textContent: "Load again" })
      button.addEventListener("click", () => this.again())
      this.failuresBox.hidden = !size
      this.failuresBox.replaceChildren(...(size ? [Object.assign(document.createElement("p"), { className: "slide-failure", textContent: words }), button] : []))
    }
    this.measurements.markLost([...this.failures.values()].map(({ tile }) => tile))
  }

  choosePath(id) {
    this.path = id
    this.z = nearest(this.slide.planesOf(id), this.z)
    this.#forgetWindow()
    this.failures.clear()
    this.#load()
    this.#writePlace()
  }

  choosePlane(z) {
    this.z = z
    if (this.planeChoice) this.planeChoice.value = String(z)
    this.failures.clear()
    this.#load()
    for (const one of this.segmentations ?? []) this.#lay(one)
  }

  // Goes through the focal planes, as one scrolls through images.
  scroll(steps) {
    const planes = this.slide.planesOf(this.path)
    const at = planes.indexOf(this.z) + steps
    const z = planes[Math.min(planes.length - 1, Math.max(0, at))]
    if (z !== undefined && z !== this.z) this.choosePlane(z)
  }

  zoomBy(factor) {
    this.viewer.viewport.zoomBy(factor)
    this.viewer.viewport.applyConstraints()
  }

  // Shows the whole slide, or its middle where that would be too many tiles.
  #goHome(isAtOnce = false) {
    const { viewport } = this.viewer
    if (!this.isPartial) { viewport.goHome(isAtOnce); return }
    const { x, y } = viewport.getHomeBounds().getCenter()
    viewport.zoomTo(viewport.minZoomLevel, null, true)
    viewport.panTo(new this.library.Point(x, y), true)
  }

  // What the buttons and keys of the viewer do on a slide; false for what means nothing here.
  act(name) {
    const { viewport } = this.viewer
    const turn = (degrees) => viewport.setRotation(viewport.getRotation() + degrees)
    const actions = {
      fit: () => this.#goHome(),
      actual: () => this.#oneToOne(),
      larger: () => this.zoomBy(1.5),
      smaller: () => this.zoomBy(1 / 1.5),
      left: () => turn(-90),
      right: () => turn(90),
      reset: () => { viewport.setRotation(0, true); this.#goHome(true) },
      texts: () => { this.hasTexts = !this.hasTexts; this.#write() },
      clear: () => this.measurements.clear(),
      remove: () => this.measurements.removeLast(),
      save: () => this.#save(),
      flipx: () => this.page.say("A slide is turned, not flipped."),
      flipy: () => this.page.say("A slide is turned, not flipped."),
      invert: () => {},
      range: () => { this.#forgetWindow(); this.#load() },
    }
    if (!actions[name]) return false
    this.page.say("")
    actions[name]()
    return true
  }

  // Keys that mean something on a slide.
  handleKey(event) {
    if (event.key === "Delete" && event.shiftKey) return this.act("clear")
    const name = ACTION_KEYS[event.key] ?? ACTION_KEYS[event.key.toLowerCase()]
    if (name) return this.act(name)
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
    if (steps[event.key]) {
      const { viewport } = this.viewer
      const share = event.shiftKey ? 0.8 : 0.15
      const [x, y] = steps[event.key].map((step) => step * share * Math.min(viewport.getContainerSize().x, viewport.getContainerSize().y))
      viewport.panBy(viewport.deltaPointsFromPixels(new this.library.Point(x, y)))
      viewport.applyConstraints()
    } else if (event.key === "PageUp") this.scroll(-1)
    else if (event.key === "PageDown") this.scroll(1)
    else return false
    return true
  }

  // A pixel of the largest level is one of the screen, and not parts of two.
  #oneToOne() {
    const { viewport } = this.viewer
    const ratio = this.library.pixelDensityRatio
    viewport.zoomTo(viewport.imageToViewportZoom(1 / ratio), null, true)
    const [column, row] = this.toMatrix(0, 0)
    const [x, y] = this.toScreen([Math.round(column), Math.round(row)])
    viewport.panBy(viewport.deltaPointsFromPixels(new this.library.Point(x, y)), true)
  }

  // The view with measurements and scale bar, as a picture.
  #save() {
    const from = this.viewer.drawer.canvas
    const canvas = new OffscreenCanvas(from.width, from.height)
    const context = canvas.getContext("2d")
    context.fillStyle = getComputedStyle(this.element).backgroundColor
    context.fillRect(0, 0, canvas.width, canvas.height)
    context.drawImage(from, 0, 0)
    const ratio = this.library.pixelDensityRatio
    context.scale(ratio, ratio)
    this.#paintAnnotations(context)
    this.measurements.paint(context)
    const [bottom, wide] = [from.height / ratio - 20, this.barLine.getBoundingClientRect().width]
    context.fillStyle = "#000a"
    context.fillRect(10, bottom - 24, wide + 20, 36)
    context.fillStyle = "#fff"
    context.fillRect(20, bottom, wide, 4)
    context.font = "13px system-ui, sans-serif"
    context.fillText(this.barWords.textContent, 20, bottom - 6)
    canvas.convertToBlob({ type: "image/png" }).then((blob) => saveFile(blob, "slide.png")).catch(() => this.page.say("The picture cannot be saved."))
  }

  // Label, overview and thumbnail in the panel beside, as the server renders them.
  #showBeside() {
    const list = document.createElement("div")
    for (const { name, dataset } of this.slide.beside) {
      const figure = document.createElement("figure")
      const picture = document.createElement("img")
      const words = name.slice(0, 1) + name.slice(1, 40).toLowerCase()
      Object.assign(picture, { src: `${this.slide.path}/instances/${encodeURIComponent(text(dataset, "00080018"))}/rendered?viewport=640,640`, alt: words, className: "slide-beside" })
      picture.addEventListener("error", () => picture.replaceWith(`The ${words.toLowerCase()} cannot be shown.`))
      figure.append(picture, Object.assign(document.createElement("figcaption"), { textContent: words }))
      list.append(figure)
    }
    this.page.side.open("slide-beside", "Label and overview", list)
  }

  close() {
    clearTimeout(this.later)
    window.removeEventListener("online", this.whenOnline)
    for (const abort of this.running.values()) abort.abort()
    for (const name of ["slide-beside", "slide-annotations"]) this.page.side.close(name)
    this.viewer.destroy()
  }
}

// Tiles begin and end with whole pixels of the screen, so that there is neither a gap between two nor a part of one twice.
function fitTogether(item) {
  const drawn = item.getTilesToDraw
  item.getTilesToDraw = () => {
    const found = drawn.call(item)
    const ratio = window.devicePixelRatio || 1
    const whole = (place) => Math.round(place * ratio) / ratio
    for (const { tile } of found) {
      for (const axis of ["x", "y"]) {
        const end = whole(tile.position[axis] + tile.size[axis])
        tile.position[axis] = whole(tile.position[axis])
        tile.size[axis] = end - tile.position[axis]
      }
    }
    return found
  }
}

const nearest = (places, place) => places.reduce((one, other) => (Math.abs(other - place) < Math.abs(one - place) ? other : one), places[0])
const significant = (value) => Number(value.toPrecision(3))

// The longest of 1, 2, 5, 10, … that is not longer.
export function niceLength(most) {
  const power = 10 ** Math.floor(Math.log10(most))
  return Number((power * [5, 2, 1].find((digit) => digit * power <= most * (1 + 1e-9))).toPrecision(6))
}

// Millimetres as people of microscopes say them.
export function lengthText(length) {
  if (length >= 1) return `${significant(length)} mm`
  return length >= 0.001 ? `${significant(length * 1000)} µm` : `${significant(length * 1e6)} nm`
}
