// What is seen in a place of the stage as one picture: the canvas, what is measured over it, and the texts that are shown.
import { saveFile } from "../save_file.js"

const TEXTS = ".text, .side, .view"

// Saves an element with a canvas, lines in SVG and texts over it. Lines at the upper left and right say
// what the texts leave out.
export async function savePicture(element, name, lines = {}) {
  const blob = await pictureOf(element, lines).convertToBlob({ type: "image/png" })
  saveFile(blob, name)
}

function pictureOf(element, lines) {
  const source = element.querySelector("canvas")
  const { left, top, width } = source.getBoundingClientRect()
  const ratio = width ? source.width / width : 1
  const picture = new OffscreenCanvas(source.width, source.height)
  const context = picture.getContext("2d", { alpha: false })
  context.drawImage(source, 0, 0)
  context.scale(ratio, ratio)
  for (const shape of element.querySelectorAll("svg *")) drawShape(context, shape)
  context.translate(-left, -top)
  for (const box of element.querySelectorAll(TEXTS)) drawTexts(context, box)
  for (const [side, words] of Object.entries(lines)) drawLines(context, words.filter(Boolean), side, element)
  return picture
}

function drawShape(context, shape) {
  const style = getComputedStyle(shape)
  if (style.display === "none" || style.visibility === "hidden") return
  const at = (name) => Number(shape.getAttribute(name))
  if (shape.localName === "text") {
    write(context, shape.textContent, at("x"), at("y"), style, style.fill)
    return
  }
  const path = pathOf(shape, at)
  if (!path) return
  context.globalAlpha = Number(style.opacity)
  if (style.fill !== "none") { context.fillStyle = style.fill; context.fill(path) }
  if (style.stroke !== "none") {
    context.strokeStyle = style.stroke
    context.lineWidth = parseFloat(style.strokeWidth)
    context.setLineDash(style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(/[ ,]+/).map(parseFloat))
    context.stroke(path)
    context.setLineDash([])
  }
  context.globalAlpha = 1
}

function pathOf(shape, at) {
  const path = new Path2D()
  switch (shape.localName) {
    case "path": return new Path2D(shape.getAttribute("d"))
    case "line": path.moveTo(at("x1"), at("y1")); path.lineTo(at("x2"), at("y2")); return path
    case "circle": path.arc(at("cx"), at("cy"), at("r"), 0, 2 * Math.PI); return path
    case "polyline":
    case "polygon": {
      const places = shape.getAttribute("points").trim().split(/\s+/).map((place) => place.split(",").map(Number))
      places.forEach(([x, y], index) => (index ? path.lineTo(x, y) : path.moveTo(x, y)))
      if (shape.localName === "polygon") path.closePath()
      return path
    }
    default: return null
  }
}

function write(context, words, x, y, style, colour) {
  context.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`
  context.lineJoin = "round"
  context.lineWidth = 3
  context.strokeStyle = "#000"
  context.strokeText(words, x, y)
  context.fillStyle = colour
  context.fillText(words, x, y)
}

// Writes each word where the page has it; one that is broken, letter by letter.
function drawTexts(context, box) {
  const style = getComputedStyle(box)
  if (style.display === "none" || style.visibility === "hidden") return
  const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const node = walker.currentNode
    const own = getComputedStyle(node.parentElement)
    for (const { 0: word, index } of node.data.matchAll(/\S+/gu)) {
      const places = placesOf(node, index, index + word.length)
      if (places.length === 1) drawAt(context, word, places[0], own)
      else [...word].reduce((at, letter) => { drawAt(context, letter, placesOf(node, at, at + letter.length)[0], own); return at + letter.length }, index)
    }
  }
}

function placesOf(node, from, to) {
  const range = document.createRange()
  range.setStart(node, from)
  range.setEnd(node, to)
  return [...range.getClientRects()]
}

function drawAt(context, words, place, style) {
  if (!place) return
  context.textBaseline = "alphabetic"
  write(context, words, place.left, place.top + place.height * 0.8, style, style.color)
}

// Below what stands in an upper corner already.
function drawLines(context, lines, side, element) {
  const box = element.querySelector(".text.top-left")
  const style = getComputedStyle(box)
  const { left, top, bottom } = box.getBoundingClientRect()
  const outer = element.getBoundingClientRect()
  const isRight = side === "right"
  const height = parseFloat(style.fontSize) * 1.3
  context.textAlign = isRight ? "right" : "left"
  lines.forEach((line, index) => write(context, line, isRight ? outer.right - (left - outer.left) : left, (isRight ? top : bottom) + height * (index + 0.8), style, style.color))
}
