// Waveforms on paper with a grid in real millimetres of CSS: what is in view is drawn, and no more.
import { element } from "./element.js"

export const PX_PER_MM = 96 / 25.4
// Elements cannot be wider than browsers can count; a longer recording moves faster than its scroll bar.
const WIDEST_PX = 8_000_000
const PAPER = { background: "#fffaf8", minor: "#f7d7d2", major: "#e9a69d", trace: "#14181c", text: "#14181c", caliper: "#0a5566", mark: "#5b3fa0" }
const TEXT_PX = 12
const RULER_MM = 7

export class Plot {
  // A sheet has `group`, `width` and `height` in mm, `speed` in mm/s, `strips` of { channel, from, seconds, x, y, gain, shift, label },
  // where y is the place of zero, gain in mm a unit; `pulses` of { x, y, height }, `marks` of { x, y, words }, `ruler` of { x, seconds }.
  constructor(words) {
    this.canvas = element("canvas", { attributes: { role: "img" } })
    this.space = element("div", { className: "paper-space" }, this.canvas)
    this.element = element("div", { className: "paper", tabIndex: 0, attributes: { role: "group", "aria-label": words } }, this.space)
    this.sheet = null
    this.caliper = null
    this.tell = () => {}
    this.element.addEventListener("scroll", () => this.draw())
    this.canvas.addEventListener("pointerdown", (event) => this.#begin(event))
    this.canvas.addEventListener("pointermove", (event) => this.#move(event))
    this.element.addEventListener("keydown", (event) => this.#press(event))
    this.observer = new ResizeObserver(() => this.draw())
    this.observer.observe(this.element)
  }

  close() { this.observer.disconnect() }

  show(sheet, words) {
    this.sheet = sheet
    this.canvas.setAttribute("aria-label", words)
    const width = Math.min(WIDEST_PX, Math.ceil(sheet.width * PX_PER_MM))
    this.element.style.maxWidth = `${width}px`
    this.space.style.width = `${width}px`
    this.space.style.height = `${Math.ceil(sheet.height * PX_PER_MM)}px`
    this.caliper = null
    this.tell("")
    this.draw()
  }

  // How far the paper is moved to the left, in mm.
  get offset() {
    const { element: { scrollLeft, scrollWidth, clientWidth }, sheet } = this
    const most = scrollWidth - clientWidth
    return most > 0 ? (scrollLeft / most) * Math.max(0, sheet.width - clientWidth / PX_PER_MM) : 0
  }

  // Brings a place of the paper into view.
  goTo(millimetres) {
    const { element: { scrollWidth, clientWidth }, sheet } = this
    const hidden = sheet.width - clientWidth / PX_PER_MM
    if (hidden > 0) this.element.scrollLeft = ((millimetres - clientWidth / PX_PER_MM / 2) / hidden) * (scrollWidth - clientWidth)
  }

  draw() {
    const { canvas, sheet } = this
    if (!sheet) return
    const ratio = window.devicePixelRatio || 1
    const width = Math.min(this.element.clientWidth, Math.ceil(sheet.width * PX_PER_MM))
    const height = Math.ceil(sheet.height * PX_PER_MM)
    if (!width) return
    const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)]
    if (canvas.width !== columns || canvas.height !== rows) {
      Object.assign(canvas, { width: columns, height: rows })
      canvas.style.width = `${width}px`
      canvas.style.height = `${height}px`
    }
    this.scale = PX_PER_MM * ratio
    this.left = this.offset * this.scale
    this.context = canvas.getContext("2d", { alpha: false })
    this.#drawGrid(columns, rows)
    for (const pulse of sheet.pulses) this.#drawPulse(pulse)
    for (const strip of sheet.strips) this.#drawStrip(strip, columns)
    this.#drawMarks(ratio)
    this.#drawRuler(columns, rows, ratio)
    this.#drawLabels(ratio, columns)
    this.#drawCaliper(ratio, rows)
  }

  #x(millimetres) { return millimetres * this.scale - this.left }
  #y(millimetres) { return millimetres * this.scale }

  #drawGrid(columns, rows) {
    const { context, scale, left } = this
    context.fillStyle = PAPER.background
    context.fillRect(0, 0, columns, rows)
    for (const [step, colour] of [[1, PAPER.minor], [5, PAPER.major]]) {
      // Lines nearer than three pixels are no grid.
      if (step * scale < 3) continue
      context.fillStyle = colour
      for (let line = Math.ceil(left / scale / step) * step; this.#x(line) < columns; line += step) context.fillRect(Math.round(this.#x(line)), 0, 1, rows)
      for (let line = 0; this.#y(line) < rows; line += step) context.fillRect(0, Math.round(this.#y(line)), columns, 1)
    }
  }

  #pen(colour = PAPER.trace, width = 1.2) {
    const { context, scale } = this
    Object.assign(context, { strokeStyle: colour, lineWidth: Math.max(1, (width * scale) / PX_PER_MM), lineJoin: "round" })
    return context
  }

  // The mark of calibration: a pulse of a known height.
  #drawPulse({ x, y, width, height }) {
    const context = this.#pen()
    context.beginPath()
    for (const [dx, dy] of [[-1, 0], [0, 0], [0, height], [width, height], [width, 0], [width + 1, 0]]) context.lineTo(this.#x(x + dx), this.#y(y - dy))
    context.stroke()
  }

  #drawStrip({ channel, from, seconds, x, y, gain, shift }, columns) {
    const { group, speed } = this.sheet
    const context = this.#pen()
    const perSample = (speed / group.rate) * this.scale
    const start = this.#x(x)
    // Sample s lies at start + (s - first) * perSample.
    const first = (from - channel.delay) * group.rate
    const [low, high] = [Math.max(0, Math.ceil(first)), Math.min(group.count, Math.ceil(first + seconds * group.rate))]
    const seen = (pixel) => first + (pixel - start) / perSample
    const begin = Math.max(low, Math.floor(seen(-1)))
    const end = Math.min(high, Math.ceil(seen(columns + 1)) + 1)
    const place = (value) => this.#y(y - (value - shift) * gain)
    context.beginPath()
    if (perSample >= 0.5) this.#trace(context, channel, begin, end, (sample) => start + (sample - first) * perSample, place)
    else this.#envelope(context, channel, begin, end, (sample) => start + (sample - first) * perSample, seen, place)
    context.stroke()
  }

  #trace(context, channel, begin, end, across, place) {
    const { group } = this.sheet
    let isBroken = true
    for (let sample = begin; sample < end; sample += 1) {
      const value = group.at(channel, sample)
      if (Number.isNaN(value)) { isBroken = true; continue }
      if (isBroken) context.moveTo(across(sample), place(value))
      else context.lineTo(across(sample), place(value))
      isBroken = false
    }
  }

  // The least and greatest value of each column of pixels, joined so that no peak is lost.
  #envelope(context, channel, begin, end, across, seen, place) {
    const { group } = this.sheet
    let before = null
    for (let sample = begin; sample < end;) {
      const column = Math.floor(across(sample))
      const next = Math.max(sample + 1, Math.min(end, Math.ceil(seen(column + 1))))
      const found = group.extremes(channel, sample, next)
      if (found) {
        // From the last one, so that a steep edge between two columns is a line.
        const low = before && before.most < found.least ? before.most : found.least
        const high = before && before.least > found.most ? before.least : found.most
        context.moveTo(column + 0.5, place(low))
        context.lineTo(column + 0.5, Math.min(place(high), place(low) - 1))
      }
      before = found
      sample = next
    }
  }

  // Each has a line, below the words of all; words that would run into those before them are left to the table.
  #drawMarks(ratio) {
    const { context } = this
    context.fillStyle = PAPER.mark
    context.font = `${10 * ratio}px sans-serif`
    Object.assign(context, { strokeStyle: PAPER.background, lineWidth: 3 * ratio })
    let free = -Infinity
    for (const { x, y } of this.sheet.marks) context.fillRect(Math.round(this.#x(x)), Math.round(this.#y(y)), Math.max(1, ratio), 4 * this.scale)
    for (const { x, y, words } of this.sheet.marks) {
      const place = this.#x(x)
      if (place < free) continue
      context.strokeText(words, place + 3 * ratio, this.#y(y) + 10 * ratio)
      context.fillText(words, place + 3 * ratio, this.#y(y) + 10 * ratio)
      free = place + context.measureText(words).width + 8 * ratio
    }
  }

  #drawRuler(columns, rows, ratio) {
    const { context, sheet } = this
    context.fillStyle = PAPER.text
    context.font = `${10 * ratio}px sans-serif`
    for (const { x, from, seconds, speed } of sheet.rulers) {
      const step = [0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200].find((one) => one * speed >= 12) ?? 14400 * Math.ceil(12 / speed / 14400)
      const first = Math.max(Math.ceil(from / step), Math.ceil((from + (this.left / this.scale - x) / speed) / step))
      for (let tick = first; tick * step <= from + seconds + 1e-9; tick += 1) {
        const place = this.#x(x + (tick * step - from) * speed)
        if (place > columns) break
        context.fillRect(Math.round(place), rows - RULER_MM * this.scale, Math.max(1, ratio), 2 * this.scale)
        context.fillText(clock(tick * step, step), place + 3 * ratio, rows - 2.2 * this.scale)
      }
    }
  }

  // Names stay at the left of the paper that is in view, so that one knows which strip is which.
  #drawLabels(ratio, columns) {
    const { context, sheet } = this
    context.font = `600 ${TEXT_PX * ratio}px sans-serif`
    for (const { x, y, words, right } of sheet.labels) {
      const place = Math.max(this.#x(x), 4 * ratio)
      if (right !== undefined && this.#x(right) < place) continue
      if (place > columns) continue
      context.lineWidth = 3 * ratio
      context.strokeStyle = PAPER.background
      context.strokeText(words, place, this.#y(y))
      context.fillStyle = PAPER.text
      context.fillText(words, place, this.#y(y))
    }
  }

  // The strip under a height of the paper: that whose zero is nearest.
  #stripAt(x, y) {
    const { strips, speed } = this.sheet
    const here = strips.filter((strip) => x >= strip.x && x <= strip.x + strip.seconds * speed)
    return (here.length ? here : strips).reduce((best, strip) => (Math.abs(strip.y - y) < Math.abs(best.y - y) ? strip : best))
  }

  #millimetres(event) {
    const { left, top } = this.canvas.getBoundingClientRect()
    return { x: (event.clientX - left) / PX_PER_MM + this.offset, y: (event.clientY - top) / PX_PER_MM }
  }

  #begin(event) {
    if (event.button !== 0 || event.pointerType === "touch") return
    const point = this.#millimetres(event)
    this.canvas.setPointerCapture(event.pointerId)
    this.caliper = { start: point, end: point, strip: this.#stripAt(point.x, point.y) }
    this.#measure()
  }

  #move(event) {
    if (!this.caliper || !this.canvas.hasPointerCapture(event.pointerId)) return
    this.caliper.end = this.#millimetres(event)
    this.#measure()
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
    if (event.key.toLowerCase() === "c") this.#toggleCaliper()
    else if (event.key === "Escape" && this.caliper) { this.caliper = null; this.#measure() }
    else if (arrow && this.caliper && event.shiftKey) {
      const step = 0.2
      this.caliper.end = { x: this.caliper.end.x + arrow[0] * step, y: this.caliper.end.y + arrow[1] * step }
      this.#measure()
    } else if (arrow?.[0]) this.element.scrollLeft += arrow[0] * 5 * PX_PER_MM
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  // From the keyboard it begins in the middle, one large square wide.
  #toggleCaliper() {
    if (this.caliper) this.caliper = null
    else {
      const strip = this.sheet.strips[0]
      const x = Math.round(this.offset + Math.min(this.element.clientWidth / PX_PER_MM, this.sheet.width) / 2)
      this.caliper = { start: { x, y: strip.y }, end: { x: x + 5, y: strip.y }, strip }
    }
    this.#measure()
  }

  #measure() {
    this.draw()
    if (!this.caliper) { this.tell(""); return }
    const { start, end, strip } = this.caliper
    const seconds = Math.abs(end.x - start.x) / this.sheet.speed
    const height = (start.y - end.y) / strip.gain
    const rate = seconds >= 0.02 && this.sheet.isPaper ? ` (${Math.round(60 / seconds)}/min)` : ""
    const time = seconds < 10 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`
    this.tell(`${time}${rate}, ${short(height)} ${strip.channel.unit || "stored values"} in ${strip.channel.name}`)
  }

  #drawCaliper(ratio, rows) {
    if (!this.caliper) return
    const { start, end } = this.caliper
    const context = this.#pen(PAPER.caliper, 1)
    context.beginPath()
    for (const { x } of [start, end]) { context.moveTo(this.#x(x), 0); context.lineTo(this.#x(x), rows) }
    context.setLineDash([4 * ratio, 3 * ratio])
    for (const { y } of [start, end]) { context.moveTo(this.#x(start.x), this.#y(y)); context.lineTo(this.#x(end.x), this.#y(y)) }
    context.stroke()
    context.setLineDash([])
  }
}

export const short = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2))

function clock(seconds, step) {
  if (step < 1) return `${seconds.toFixed(1)} s`
  if (seconds < 60 && step < 60) return `${seconds} s`
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  const two = (one) => String(one).padStart(2, "0")
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(Math.round(seconds % 60))}`
}
