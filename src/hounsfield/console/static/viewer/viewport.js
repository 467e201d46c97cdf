// One image on a canvas: window, zoom, pan, rotation, flips, orientation letters, texts.
import { lossText, patientLines, studyLines, techniqueLines, viewText } from "./captions.js"
import { letters, values } from "./dicom.js"
import { colourWords, isSignedArray, isWide, pixelsOf, suvPresets, wholeRange, wordsOf, PRESETS } from "./greyscale.js"
import { drawMeasurements } from "./measurements.js"
import { realWorldValues } from "./real_world.js"
import { suvOf } from "./suv.js"

const NOTHING = { zoom: 1, panX: 0, panY: 0, rotation: 0, flipX: false, flipY: false, isInverted: false, window: null }

export class Viewport {
  constructor(element) {
    this.element = element
    this.canvas = element.querySelector("canvas")
    this.context = this.canvas.getContext("2d", { alpha: false })
    this.drawing = element.querySelector("svg")
    this.picture = new OffscreenCanvas(1, 1)
    this.view = { ...NOTHING }
    this.stack = null
    this.index = 0
    this.image = null
    this.frame = null
    this.failure = null
    this.hasTexts = true
    this.measurements = []
    this.layers = []
    this.guest = null
    this.wanted = null
    this.opened = null
    this.selected = null
    this.cursor = null
    // Why it does not scroll along with the active one.
    this.linkText = ""
    this.words = { key: "", made: [], table: null }
    new ResizeObserver(() => this.resize()).observe(element)
    this.resize()
  }

  show(stack) {
    this.#clear()
    this.stack = stack
    this.index = stack.index
    this.frame = stack.frame
    stack.listen((frame, image, failure) => this.#receive(frame, image, failure))
    return stack.show()
  }

  // Lets something else than images take the place of the canvas: guest has an element; close(), scroll(steps), zoomBy(factor),
  // toggle() to play and reveal(reference) where it can.
  host(guest) {
    this.#clear()
    this.guest = guest
    this.element.querySelector("[data-host]").replaceChildren(guest.element)
    this.element.toggleAttribute("data-hosting", true)
    this.draw()
  }

  // Draws something over the images: layer.draw(viewport) is called with the context set to columns and rows of the image;
  // close() when other images are shown.
  addLayer(layer) {
    this.layers.push(layer)
    this.draw()
  }

  removeLayer(layer) {
    this.layers = this.layers.filter((one) => one !== layer)
    layer.close?.()
    this.draw()
  }

  #clear() {
    this.stack?.close()
    this.guest?.close?.()
    for (const layer of this.layers) layer.close?.()
    this.element.querySelector("[data-host]").replaceChildren()
    this.element.toggleAttribute("data-hosting", false)
    Object.assign(this, { stack: null, frame: null, image: null, failure: null, guest: null, layers: [], measurements: [], selected: null, cursor: null, view: { ...NOTHING } })
  }

  // The window over all values of the image that is shown, worked out when it is asked for.
  get rangeWindow() {
    if (this.isColour || !this.image) return null
    if (this.range?.image !== this.image) {
      this.range = { image: this.image, window: { ...wholeRange(this.frame, this.image.samples), name: `Range of image ${this.index + 1}` } }
    }
    return this.range.window
  }

  // Without a window of the file: the range of the image of the series that was shown first, so that the same value has the same
  // brightness in all of them. Images of another kind have their own.
  get #usualWindow() {
    const { frame, image, stack } = this
    if (this.isColour || !image) return null
    const kind = `${frame.photometric} ${frame.bitsStored} ${frame.isSigned} ${frame.unit}`
    if (!this.ranges || this.ranges.stack !== stack) this.ranges = { stack, kinds: new Map() }
    const { kinds } = this.ranges
    if (!kinds.has(kind)) {
      if (!image.isWhole) return this.rangeWindow
      kinds.set(kind, this.rangeWindow)
    }
    return kinds.get(kind)
  }

  get window() { return this.view.window ?? this.frame?.windows[0] ?? this.#usualWindow }
  get isSigned() { return Boolean(this.image) && isSignedArray(this.image.samples) }
  get isColour() { return this.image?.components === 3 || Boolean(this.frame?.isPalette) }

  // The windows and VOI LUTs of the file, then windows of the modality that are others.
  get presets() {
    const { frame, suv } = this
    const own = frame?.windows ?? []
    const usual = frame?.modality === "PT" && suv?.factor ? suvPresets(suv.factor) : PRESETS[frame?.modality] ?? []
    return [...own, ...usual.filter((preset) => !own.some(({ center, width }) => center === preset.center && width === preset.width))]
  }

  // What makes standardised uptake values of a PET image, or why nothing does; null for other images.
  get suv() {
    if (this.frame?.modality !== "PT" || this.isColour) return null
    const { dataset } = this.frame
    if (this.uptake?.dataset !== dataset) {
      const datasets = new Set(this.stack.frames.map((frame) => frame.dataset))
      this.uptake = { dataset, ...suvOf(dataset, [...datasets]) }
    }
    return this.uptake
  }

  // Changes how the image is shown.
  set(changes) {
    Object.assign(this.view, changes)
    if ("window" in changes || "isInverted" in changes) this.#makePicture()
    this.draw()
    if ("window" in changes) this.element.dispatchEvent(new CustomEvent("viewer:window"))
  }

  reset() {
    this.view = { ...NOTHING }
    this.#makePicture()
    this.draw()
    this.element.dispatchEvent(new CustomEvent("viewer:window"))
  }

  resize() {
    const { width, height } = this.element.getBoundingClientRect()
    const ratio = window.devicePixelRatio || 1
    this.canvas.width = Math.max(1, Math.round(width * ratio))
    this.canvas.height = Math.max(1, Math.round(height * ratio))
    this.ratio = ratio
    this.draw()
  }

  // How many pixels of the canvas a column and a row of the image have.
  get scale() {
    const { rows, columns, aspect } = this.frame
    const turned = this.view.rotation % 180 !== 0
    const [wide, high] = turned ? [rows * aspect, columns] : [columns, rows * aspect]
    const fit = Math.min(this.canvas.width / wide, this.canvas.height / high)
    const zoom = this.view.zoom === "1:1" ? 1 : fit * this.view.zoom
    return { x: zoom, y: zoom * aspect, fit }
  }

  // From columns and rows of the image, whose first pixel begins at 0, to pixels of the canvas.
  get matrix() {
    const { x, y } = this.scale
    const matrix = new DOMMatrix()
      .translate(this.canvas.width / 2 + this.view.panX, this.canvas.height / 2 + this.view.panY)
      .rotate(this.view.rotation)
      .scale(this.view.flipX ? -x : x, this.view.flipY ? -y : y)
      .translate(-this.frame.columns / 2, -this.frame.rows / 2)
    if (x === 1 && y === 1) {
      // A pixel of the image is one of the canvas, and not parts of two.
      matrix.e = Math.round(matrix.e)
      matrix.f = Math.round(matrix.f)
    }
    return matrix
  }

  // The place in the image under a place of the page, in columns and rows.
  imagePoint(clientX, clientY) {
    const { left, top } = this.canvas.getBoundingClientRect()
    const point = this.matrix.inverse().transformPoint(new DOMPoint((clientX - left) * this.ratio, (clientY - top) * this.ratio))
    return [point.x, point.y]
  }

  // Whether the pixels of the image that is shown are those of the file, and not of a smaller one.
  get hasPixels() { return Boolean(this.image?.isWhole && this.image.width === this.frame.columns && this.image.height === this.frame.rows) }

  // Stored value, value after the modality transformation, real world values, and place of the pixel under a point of the image.
  probe([column, row]) {
    const { image, frame } = this
    const x = Math.floor(column)
    const y = Math.floor(row)
    if (!this.hasPixels || x < 0 || y < 0 || x >= image.width || y >= image.height) return null
    if (image.components === 3) {
      const at = (y * image.width + x) * 3
      return { x, y, colour: [...image.samples.subarray(at, at + 3)] }
    }
    const stored = image.samples[y * image.width + x]
    const shown = wordsOf(frame, { center: 0, width: 1, curve: "LINEAR" }, false)
    if (frame.isPalette) return { x, y, stored, colour: [0, 8, 16].map((shift) => (shown(stored) >> shift) & 255) }
    return { x, y, stored, isPadding: this.isPadding(stored), value: frame.rescaled(stored), mapped: realWorldValues(frame, stored) }
  }

  isPadding(stored) {
    const { padding } = this.frame
    return Boolean(padding) && stored >= padding[0] && stored <= padding[1]
  }

  draw() {
    const { context, canvas } = this
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.fillStyle = "#000"
    context.fillRect(0, 0, canvas.width, canvas.height)
    if (this.frame && this.image) {
      const { x, y } = this.scale
      context.imageSmoothingEnabled = !(x === 1 && y === 1)
      context.imageSmoothingQuality = "high"
      context.setTransform(this.matrix)
      context.drawImage(this.picture, 0, 0, this.frame.columns, this.frame.rows)
      for (const layer of this.layers) {
        context.save()
        layer.draw(this)
        context.restore()
      }
    }
    this.#write()
    drawMeasurements(this)
  }

  #receive(frame, image, failure) {
    const other = frame.rows !== this.frame?.rows || frame.columns !== this.frame?.columns
    this.frame = frame
    // The image that is shown, while the stack waits for another one.
    this.index = this.stack.index
    this.failure = failure
    this.image = image
    if (other) Object.assign(this.view, { panX: 0, panY: 0 })
    this.#makePicture()
    this.draw()
    if (image) mark("viewer:first image")
    if (image?.isWhole) mark("viewer:whole image")
    this.element.dispatchEvent(new CustomEvent("viewer:image", { bubbles: true, detail: { isWhole: image?.isWhole ?? false, failure } }))
  }

  // What each stored value is shown as, kept for as long as what it is made of is the same, as from image to image of a series.
  #words() {
    const { frame, image, view } = this
    if (isWide(image.samples)) return wordsOf(frame, this.window, view.isInverted)
    const { slope, intercept, photometric, shape, padding, modalityTable, palette } = frame
    const { center, width, curve, table } = this.window ?? {}
    const key = JSON.stringify([slope, intercept, photometric, shape, padding, center, width, curve, view.isInverted, this.isSigned])
    const made = [modalityTable, palette, table]
    if (this.words.key !== key || made.some((one, index) => one !== this.words.made[index])) {
      this.words = { key, made, table: colourWords(frame, this.window, view.isInverted, this.isSigned) }
    }
    return this.words.table
  }

  #makePicture() {
    const { image } = this
    if (!image) return
    const pixels = pixelsOf(image, image.components === 1 ? this.#words() : null, this.frame)
    if (image.components === 3 && this.view.isInverted) invert(pixels.data)
    if (this.picture.width !== image.width || this.picture.height !== image.height) this.picture = new OffscreenCanvas(image.width, image.height)
    this.picture.getContext("2d", { alpha: false }).putImageData(pixels, 0, 0)
  }

  #write() {
    const { element, frame, stack } = this
    const say = (place, lines) => {
      const box = element.querySelector(`[data-place="${place}"]`)
      box.replaceChildren(...lines.filter(Boolean).map((line) => Object.assign(document.createElement("div"), { textContent: line })))
    }
    element.querySelector("[data-empty]").hidden = Boolean(frame || this.guest || this.wanted)
    element.querySelector("[data-failure]").textContent = this.failure ? `Image ${this.index + 1}: ${this.failure.message}` : ""
    if (!frame) {
      for (const box of element.querySelectorAll("[data-place], [data-side], [data-view]")) box.replaceChildren()
      return
    }
    const { dataset } = frame
    const shown = this.hasTexts
    say("top-left", shown ? patientLines(dataset) : [])
    say("top-right", shown ? studyLines(dataset) : [])
    // What one must know to read the image right stays when texts are hidden.
    element.querySelector("[data-view]").textContent = viewText(frame)
    say("bottom-left", [this.#sizeText(), lossText(frame), stack.gapText, `Image ${this.index + 1} of ${stack.frames.length}${this.image && !this.image.isWhole ? " …" : ""}`, ...(shown ? techniqueLines(frame) : [])])
    say("bottom-right", [this.linkText, this.suv?.reason ? `No SUV: ${this.suv.reason}` : "", this.#windowText(), `${Math.round((this.image ? this.scale.x / this.ratio : 1) * 100)} %`, frame.spacingWords])
    const sides = this.#sides()
    for (const place of ["top", "right", "bottom", "left"]) element.querySelector(`[data-side="${place}"]`).textContent = sides[place] ?? ""
  }

  // Says where an image is too large to be held, so that nobody takes what is shown for all of it.
  #sizeText() {
    const { image, frame } = this
    if (!image?.isReduced) return ""
    return `Too large for this browser: shown as ${image.width} × ${image.height} of ${frame.columns} × ${frame.rows} pixels, without values`
  }

  #windowText() {
    const { window: shown } = this
    if (this.isColour || !shown) return ""
    if (shown.table) return `${shown.name}${this.view.isInverted ? " inverted" : ""}`
    return `W ${round(shown.width)} C ${round(shown.center)}${shown.name ? ` ${shown.name}` : ""}${this.view.isInverted ? " inverted" : ""}`
  }

  // Which side of the patient is at which edge, as the image lies now.
  #sides() {
    const cosines = this.frame.orientation
    const own = values(this.frame.dataset, "00200020")
    if (!cosines && !own[0]) return {}
    const right = cosines ? cosines.slice(0, 3) : null
    const down = cosines ? cosines.slice(3) : null
    const towards = (x, y) => {
      // The direction on the screen, in the image before it was turned and flipped.
      const angle = (-this.view.rotation * Math.PI) / 180
      const column = Math.round(x * Math.cos(angle) - y * Math.sin(angle)) * (this.view.flipX ? -1 : 1)
      const row = Math.round(x * Math.sin(angle) + y * Math.cos(angle)) * (this.view.flipY ? -1 : 1)
      if (right) return letters([0, 1, 2].map((axis) => right[axis] * column + down[axis] * row))
      return column ? opposite(own[0], column < 0) : opposite(own[1], row < 0)
    }
    return { right: towards(1, 0), left: towards(-1, 0), bottom: towards(0, 1), top: towards(0, -1) }
  }
}

const OPPOSITES = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" }
const opposite = (sides = "", turned = false) => (turned ? [...sides].map((side) => OPPOSITES[side] ?? side).join("") : sides)
// For those who measure: when something was drawn for the first time, from the start of the navigation.
const marked = new Set()
function mark(name) {
  if (!marked.has(name)) performance.mark(name)
  marked.add(name)
}

export function round(value) {
  if (Math.abs(value) >= 1e7) return value.toExponential(3)
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(4))
}

function invert(data) {
  for (let at = 0; at < data.length; at += 4) {
    data[at] = 255 - data[at]
    data[at + 1] = 255 - data[at + 1]
    data[at + 2] = 255 - data[at + 2]
  }
}
