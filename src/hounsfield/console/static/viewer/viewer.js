// The viewer: series of a study, one, two or four viewports, tools by mouse, touch and keyboard.
import { pictureName } from "./captions.js"
import { Decoder } from "./decoder.js"
import { liesAlong, text, value } from "./dicom.js"
import { FrameStore } from "./frames.js"
import { readJson } from "./json_reader.js"
import { openKind } from "./kinds.js"
import { savePicture } from "./picture_file.js"
import { cancelPoint, handleKey, handlePointers, handleWheel, remove } from "./pointers.js"
import { SidePanel } from "./side.js"
import { round, Viewport } from "./viewport.js"
import { VolumeOffer } from "./volumes/offer.js"

const root = document.querySelector("[data-viewer]")
const base = root.dataset.study
const store = new FrameStore(new Decoder())
const side = new SidePanel(root.querySelector("[data-side-panel]"))
const found = new Map()
const datasets = new Map()
const tags = new Map()
const viewports = [...root.querySelectorAll("[data-viewport]")].map((element) => new Viewport(element))
let active = viewports[0]
// A finger scrolls, as everywhere; a mouse has a wheel for that.
const FIRST_TOOL = matchMedia("(pointer: coarse)").matches ? "scroll" : "window"
let tool = FIRST_TOOL
let cine = null
let isLinked = true
let wholeStage = null

// What begin.js asked for already, once.
function begun(path) {
  const { answer } = window.viewerBegun
  if (window.viewerBegun.path !== path) return null
  window.viewerBegun.path = null
  return answer
}

// There is nothing to choose from, and no place where anything could be shown.
class MissingStudy extends Error {
  message = "There is no such study in this data store, or nothing in it that you may see."
}

async function json(path, read = readJson) {
  let answer
  try {
    answer = await (begun(path) ?? fetch(path, { headers: { Accept: "application/dicom+json" } }))
  } catch {
    throw new Error("The server cannot be reached. Open the series again when it is back.")
  }
  if (answer.status === 204) return []
  if (answer.status === 401) {
    const { signInAgain } = await import("../session.js")
    if (await signInAgain()) return json(path, read)
  }
  tags.set(path, answer.headers.get("etag"))
  if (answer.status === 404 && path.startsWith(`${base}/series?`)) throw new MissingStudy()
  if (!answer.ok) throw new Error(answer.status === 403 ? "You may not see this study." : answer.status === 401 ? "Your session has ended. Sign in again." : answer.status === 404 ? "There is no such series, or you may not see it." : `The server does not give the study (${answer.status}).`)
  return read(answer)
}

async function open() {
  const list = root.querySelector("[data-series-list]")
  // The page has the series, so that what follows is asked for at once; where it was refused them, the API says why.
  const known = root.dataset.found ? JSON.parse(root.dataset.found) : await json(`${base}/series?includefield=all`)
  const all = known.sort((one, other) => (value(one, "00200011") ?? 0) - (value(other, "00200011") ?? 0))
  if (!all.length) throw new MissingStudy()
  for (const [index, series] of all.entries()) {
    found.set(text(series, "0020000E"), series)
    list.append(seriesButton(series, index))
  }
  countOverlays()
  const wanted = root.dataset.firstSeries
  try {
    await openSeries(found.has(wanted) ? wanted : text(all.find((series) => value(series, "00201209") !== 0) ?? all[0], "0020000E"))
  } finally {
    // Small pictures wait for the large one, which they would take the server from.
    for (const picture of list.querySelectorAll("img")) thumbnails.observe(picture)
  }
}

// How many segmentations and structure sets of the study lie over the active images.
function countOverlays() {
  const all = [...found].filter(([, series]) => ["SEG", "RTSTRUCT"].includes(text(series, "00080060"))).map(([uid]) => uid)
  const shown = all.filter((uid) => active.layers.some(({ series }) => series === uid)).length
  if (all.length) root.querySelector("[data-action=overlays]").textContent = `Overlays (${shown} of ${all.length})`
}
for (const name of ["viewer:active", "viewer:series", "viewer:overlays"]) root.addEventListener(name, countOverlays)

// Asks for the small picture of a series when its place comes into view; a document or a video has none.
const thumbnails = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue
    thumbnails.unobserve(target)
    showThumbnail(target).catch(() => target.classList.add("none"))
  }
})

async function showThumbnail(picture) {
  const answer = await fetch(`${pathOf(picture.parentElement.dataset.series)}/thumbnail`)
  const content = await answer.blob()
  if (!answer.ok) throw new Error("no picture")
  picture.src = URL.createObjectURL(content)
}

function seriesButton(series, index) {
  const uid = text(series, "0020000E")
  const button = document.createElement("button")
  button.type = "button"
  button.dataset.series = uid
  const picture = document.createElement("img")
  Object.assign(picture, { alt: "", width: 96, height: 96 })
  const words = document.createElement("span")
  words.textContent = `${value(series, "00200011") ?? index + 1} ${text(series, "00080060")} ${text(series, "0008103E")} (${value(series, "00201209") ?? "?"})`
  button.append(picture, words)
  button.addEventListener("click", () => openSeries(uid).catch(fail))
  return button
}

const LOOK_AGAIN_MS = 60_000
let lastLook = performance.now()

// Whether a series is another one than when its data sets came: an instance was replaced, edited, added or removed.
async function hasChanged(uid) {
  const path = `${pathOf(uid)}/metadata`
  const tag = tags.get(path)
  if (!tag || !datasets.has(uid)) return false
  const headers = { Accept: "application/dicom+json", "If-None-Match": tag, "X-Background": "1" }
  const answer = await fetch(path, { headers, cache: "no-store" }).catch(() => null)
  answer?.body?.cancel()
  return answer?.status === 200
}

// Forgets data sets and pictures of a series: neither may be told of the other.
function forget(uid) {
  datasets.delete(uid)
  store.forget(`${pathOf(uid)}/`)
  volumes.forget(uid)
}

// Looks now and then, while images come, whether what is shown is still so; what has changed is loaded anew.
async function lookAgain(viewport) {
  const uid = viewport.wanted
  if (!viewport.stack || performance.now() - lastLook < page.lookAgainAfter) return
  lastLook = performance.now()
  if (!(await hasChanged(uid))) return
  forget(uid)
  for (const one of viewports) if (one.wanted === uid && one.stack) await openSeries(uid, one)
  say("This series has changed on the server and was loaded anew.")
}

// The data sets of a series of the study, asked for once.
function datasetsOf(uid) {
  if (!datasets.has(uid)) {
    const ofASlide = text(found.get(uid), "00080060") === "SM"
    const read = ofASlide ? async (answer) => (await import("./slides/metadata.js")).readDatasets(answer) : undefined
    const asked = json(`${pathOf(uid)}/metadata`, read)
    asked.catch(() => datasets.delete(uid))
    datasets.set(uid, asked)
  }
  return datasets.get(uid)
}

const pathOf = (uid) => `${base}/series/${encodeURIComponent(uid)}`

async function openSeries(uid, viewport = active) {
  say("Loading …")
  viewport.wanted = uid
  viewport.draw()
  try {
    if (await hasChanged(uid)) forget(uid)
    if (viewport.wanted !== uid) return
    const context = { page, series: found.get(uid), datasets: await datasetsOf(uid), path: pathOf(uid), viewport }
    if (viewport.wanted !== uid) return
    viewport.opened = uid
    releaseStage()
    say("")
    const before = viewport.layers.filter(({ series }) => series)
    await openKind(context)
    const gone = before.filter((layer) => !viewport.layers.some(({ series }) => series === layer.series))
    if (gone.length && viewport.wanted === uid) {
      const words = `No longer over the images: ${gone.map(({ title }) => title).join(", ")}. Overlays (Y) lays it over again.`
      say([root.querySelector("[data-status]").textContent, words].filter(Boolean).join(" "))
    }
    markSeries()
    tellLinks()
    root.dispatchEvent(new CustomEvent("viewer:series"))
  } catch (error) {
    if (viewport.wanted !== uid) return
    // What was there before is still there, where nothing of this series came.
    viewport.wanted = viewport.opened
    throw error
  }
}

function markSeries() {
  const uid = active.wanted ?? ""
  for (const button of root.querySelectorAll("[data-series]")) button.setAttribute("aria-pressed", String(button.dataset.series === uid))
}

// Lets something fill the stage in place of the viewports, as a volume does: view has an element and close(); where it can
// setWindow(preset), handleKey(event), which is true where it took the key, and act(name), which is false where it has no such action.
function occupyStage(view) {
  releaseStage()
  wholeStage = view
  root.querySelector("[data-stage]").append(view.element)
  root.toggleAttribute("data-whole-stage", true)
  press("volume", Boolean(view.isVolume))
  // What was said of the images is not so of what takes their place.
  say("")
  root.querySelector("[data-announce]").textContent = ""
  root.dispatchEvent(new CustomEvent("viewer:stage"))
}

function releaseStage() {
  if (!wholeStage) return
  const view = wholeStage
  wholeStage = null
  view.element.remove()
  root.toggleAttribute("data-whole-stage", false)
  press("volume", false)
  view.close?.()
  root.dispatchEvent(new CustomEvent("viewer:stage"))
}

function fail(error) {
  if (error instanceof MissingStudy) {
    const notice = root.querySelector("[data-missing]")
    notice.querySelector("p").textContent = error.message
    notice.hidden = false
    return
  }
  say(error.message)
  active.element.querySelector("[data-failure]").textContent = error.message
}
function say(words) { root.querySelector("[data-status]").textContent = words }

function activate(viewport) {
  active = viewport
  for (const one of viewports) one.element.toggleAttribute("data-active", one === viewport)
  if (viewport.frame) listPresets()
  markSeries()
  tellLinks()
  root.dispatchEvent(new CustomEvent("viewer:active"))
}

// Scrolls, and takes along viewports whose images lie in parallel in the same patient.
function scroll(steps, viewport = active) {
  if (viewport.guest?.scroll) { viewport.guest.scroll(steps); return }
  if (!viewport.stack) return
  viewport.stack.go(viewport.stack.index + steps)
  if (isLinked) for (const other of viewports) if (other !== viewport && !other.element.hidden) follow(other, viewport)
}

function follow(viewport, leader) {
  if (viewport.stack && !whyApart(viewport.stack.frame, leader.stack.frame)) viewport.stack.go(viewport.stack.nearestTo(leader.stack.frame))
}

// Why an image cannot be led to the place of another one; nothing where it can.
function whyApart(frame, leader) {
  const reference = text(leader.dataset, "00200052")
  // Without a frame of reference places of one series say nothing of those of another (PS3.3 C.7.4.1).
  if (!reference || !text(frame.dataset, "00200052")) return "no frame of reference"
  if (reference !== text(frame.dataset, "00200052")) return "another frame of reference"
  if (!leader.position || !frame.position) return "no position in the patient"
  return liesAlong(frame, leader) ? "" : "its planes are not parallel"
}

// Says in a viewport that does not scroll along with the active one why.
function tellLinks() {
  for (const viewport of viewports) {
    const leads = viewport === active || !isLinked || viewport.element.hidden || !viewport.stack || !active.stack
    const why = leads ? "" : whyApart(viewport.stack.frame, active.stack.frame)
    const words = why && `Not linked: ${why}`
    if (viewport.linkText !== words) { viewport.linkText = words; viewport.draw() }
  }
}

function setTool(name) {
  tool = name
  cancelPoint()
  for (const viewport of viewports) if (viewport.cursor) { viewport.cursor = null; viewport.draw() }
  for (const button of root.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === name))
}

function setLayout(count) {
  releaseStage()
  root.dataset.layout = String(count)
  viewports.forEach((viewport, index) => { viewport.element.hidden = index >= count })
  for (const button of root.querySelectorAll("[data-layout-of]")) button.setAttribute("aria-pressed", String(button.dataset.layoutOf === String(count)))
  if (active.element.hidden) activate(viewports[0])
  tellLinks()
}

function zoomBy(factor) {
  if (active.guest?.zoomBy) active.guest.zoomBy(factor)
  if (!active.frame) return
  const now = active.view.zoom === "1:1" ? 1 / active.scale.fit : active.view.zoom
  active.set({ zoom: Math.min(64, Math.max(0.05, now * factor)) })
}

function setWindow(preset) {
  if (wholeStage?.setWindow) wholeStage.setWindow(preset)
  else active.set({ window: preset })
}

function toggleCine() {
  if (cine) { cancelAnimationFrame(cine); cine = null; press("cine", false); return }
  if (active.guest) { active.guest.toggle?.(); return }
  if (!active.stack || active.stack.frames.length < 2) return
  const viewport = active
  let last = performance.now()
  const step = (now) => {
    const pause = 1000 / Number(root.querySelector("[data-speed]").value)
    const { stack } = viewport
    const next = (stack.index + 1) % stack.frames.length
    if (now - last >= pause) {
      // An image that is not here yet is waited for, with what lies over it, so that none is left out.
      if ((viewport.image?.isWhole && viewport.layers.every(({ isComplete = true }) => isComplete)) || viewport.failure) { last = now; stack.go(next) }
    }
    cine = requestAnimationFrame(step)
  }
  cine = requestAnimationFrame(step)
  press("cine", true)
}

function press(action, isOn) { root.querySelector(`[data-action="${action}"]`)?.setAttribute("aria-pressed", String(isOn)) }

function saveImage() {
  if (!active.image) return
  savePicture(active.element, pictureName(active.frame.dataset, `image-${active.index + 1}`)).catch(() => say("The picture cannot be saved."))
}

// Flips along an axis of the screen, which is the other one of an image that lies on its side.
function flip(upright, lying) {
  const axis = active.view.rotation % 180 ? lying : upright
  active.set({ [axis]: !active.view[axis] })
}

const toggleOverlays = () => import("./overlays/panel.js").then(({ toggleOverlays: toggle }) => toggle(page)).catch(fail)

// What kinds, layers and panels work with.
const page = {
  lookAgainAfter: LOOK_AGAIN_MS,
  root, base, store, viewports, side,
  get active() { return active },
  get tool() { return tool },
  get whole() { return wholeStage },
  series: found,
  datasetsOf, pathOf, openSeries, json, say, fail, scroll, zoomBy, setLayout, occupyStage, releaseStage,
}

const volumes = new VolumeOffer(page)

// Greys what does nothing where a document is in the place of the images.
function greyOut() {
  const isDocument = Boolean(active.guest && !wholeStage)
  const does = active.guest?.actions
  for (const button of root.querySelectorAll("[data-tool], [data-action]")) {
    const { action } = button.dataset
    if (action === "volume" || OF_THE_PAGE.has(action)) continue
    button.setAttribute("aria-disabled", String(isDocument && Boolean(does) && !does.has(action)))
  }
  presets.disabled = isDocument && Boolean(does)
}
for (const name of ["viewer:active", "viewer:series", "viewer:stage"]) root.addEventListener(name, greyOut)

const ACTIONS = {
  fit: () => active.set({ zoom: 1, panX: 0, panY: 0 }),
  actual: () => active.set({ zoom: "1:1", panX: 0, panY: 0 }),
  larger: () => zoomBy(1.25),
  smaller: () => zoomBy(0.8),
  invert: () => active.set({ isInverted: !active.view.isInverted }),
  flipx: () => flip("flipX", "flipY"),
  flipy: () => flip("flipY", "flipX"),
  left: () => active.set({ rotation: (active.view.rotation + 270) % 360 }),
  right: () => active.set({ rotation: (active.view.rotation + 90) % 360 }),
  reset: () => active.reset(),
  texts: () => { for (const viewport of viewports) { viewport.hasTexts = !viewport.hasTexts; viewport.draw() } },
  remove: () => { if (active.selected) remove(active, active.selected) },
  clear: () => remove(active),
  metadata: () => import("./metadata.js").then(({ toggleMetadata }) => toggleMetadata(page)),
  measurements: () => import("./measurement_list.js").then(({ toggleMeasurements }) => toggleMeasurements(page)),
  cine: toggleCine,
  overlays: toggleOverlays,
  planes: () => { for (const layer of active.layers) if (layer.isOfPlanes) layer.toggle() },
  save: saveImage,
  link: () => { isLinked = !isLinked; press("link", isLinked); tellLinks() },
  help: () => root.querySelector("[data-help]").showModal(),
  volume: () => volumes.toggle().catch((error) => say(error.message)),
  range: () => { if (active.rangeWindow) setWindow(active.rangeWindow) },
}

const OF_THE_PAGE = new Set(["help", "link", "volume", "metadata"])

// Does what a button or a key says, on the images or on what is there in their place.
function act(name) {
  const instead = wholeStage ?? active.guest
  if (!instead?.act || OF_THE_PAGE.has(name)) ACTIONS[name]()
  else if (!instead.act(name)) say("That is for images only.")
}

const KEYS = {
  ArrowUp: () => scroll(-1), ArrowDown: () => scroll(1), ArrowLeft: () => scroll(-1), ArrowRight: () => scroll(1),
  PageUp: () => scroll(-10), PageDown: () => scroll(10), Home: () => scroll(-Infinity), End: () => scroll(Infinity),
  w: () => setTool("window"), p: () => setTool("pan"), z: () => setTool("zoom"), s: () => setTool("scroll"),
  l: () => setTool("length"), a: () => setTool("angle"), e: () => setTool("ellipse"), r: () => setTool("rectangle"), q: () => setTool("probe"),
  i: () => act("invert"), h: () => act("flipx"), v: () => act("flipy"), "[": () => act("left"), "]": () => act("right"), 0: () => act("fit"), o: () => act("actual"),
  "+": () => act("larger"), "-": () => act("smaller"), t: () => act("texts"), x: () => act("reset"), " ": () => act("cine"), k: () => act("save"),
  d: () => act("metadata"), m: () => act("measurements"), n: () => act("link"), y: () => act("overlays"), g: () => act("planes"), Delete: () => act("remove"), u: () => act("volume"), "?": () => act("help"),
}

// Escape closes what is open, from wherever one is: the menu first, then the panel from its own fields.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.target.closest("dialog")) return
  const menu = root.querySelector(".more[open]")
  if (menu) {
    menu.open = false
    menu.querySelector("summary").focus()
    event.stopImmediatePropagation()
  } else if (event.target.closest("[data-side-panel]")) {
    side.close()
    event.stopImmediatePropagation()
  }
})

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox], [type=range]), select, textarea, dialog")) return
  if (event.key === " " && event.target.closest("button, a, summary, input")) return
  // A slider is moved by arrows and their like; a legend is no reason to lose the letters.
  if (event.key.length > 1 && event.target.closest("[type=range]")) return
  if ((wholeStage ?? active.guest)?.handleKey?.(event)) { event.preventDefault(); return }
  if (!wholeStage && (event.target.closest("[data-viewport]") || event.target === document.body)) {
    if (handleKey(active, tool, event)) { event.preventDefault(); return }
  }
  if (event.key === "Delete" && event.shiftKey) { act("clear"); return }
  if (event.key === "Escape") { side.close(); return }
  const digit = Number(event.key)
  if (digit >= 1 && digit <= 9) {
    const preset = active.presets[digit - 1]
    if (preset) setWindow(preset)
    return
  }
  const action = KEYS[event.key] ?? KEYS[event.key.toLowerCase()]
  if (action) { event.preventDefault(); action() }
})

for (const button of root.querySelectorAll("[data-tool]")) button.addEventListener("click", () => setTool(button.dataset.tool))
for (const button of root.querySelectorAll("[data-action]")) button.addEventListener("click", () => act(button.dataset.action))
for (const button of root.querySelectorAll("[data-layout-of]")) button.addEventListener("click", () => setLayout(Number(button.dataset.layoutOf)))

const presets = root.querySelector("[data-presets]")
presets.addEventListener("change", () => {
  const preset = active.presets[Number(presets.value)]
  if (presets.value === "range") act("range")
  else if (preset) setWindow(preset)
})

// Lists the windows of the active image, and marks the one it is shown with.
function listPresets() {
  fillPresets()
  const shown = active.window
  const place = active.isColour || !shown ? -1 : active.presets.findIndex(({ center, width, curve, table }) => center === shown.center && width === shown.width && curve === shown.curve && table === shown.table)
  presets.value = place >= 0 ? String(place) : shown && shown === active.rangeWindow ? "range" : ""
}

function fillPresets() {
  const found = active.presets
  const key = found.map(({ name, width, center }) => `${name} ${width} ${center}`).join("|")
  if (presets.dataset.key === key) return
  presets.dataset.key = key
  presets.replaceChildren(new Option("Window …", ""), ...found.map((preset, index) => new Option(`${index + 1} ${preset.name}${preset.table ? " (table)" : ` (${round(preset.width)} / ${round(preset.center)})`}`, String(index))), new Option("Range of this image", "range"))
}

for (const viewport of viewports) {
  const { element, canvas } = viewport
  element.addEventListener("viewer:image", () => {
    if (viewport === active) listPresets()
    lookAgain(viewport).catch(fail)
    tellLinks()
    root.querySelector("[data-announce]").textContent = viewport.failure ? viewport.failure.message : `Image ${viewport.index + 1} of ${viewport.stack.frames.length}`
  })
  element.addEventListener("viewer:window", () => { if (viewport === active) listPresets() })
  element.addEventListener("pointerdown", () => activate(viewport), true)
  element.addEventListener("focusin", () => activate(viewport))
  handleWheel(element, { begin: () => activate(viewport), zoomBy, scroll: (steps) => scroll(steps, viewport) })
  canvas.addEventListener("contextmenu", (event) => event.preventDefault())
  handlePointers(viewport, page)
}

setTool(FIRST_TOOL)
setLayout(1)
activate(viewports[0])
press("link", isLinked)
// What every page of the console has comes once the first image is there.
open().catch(fail).finally(() => import("../console.js"))

// For tests and for people who look behind: what is shown, as it is.
root.viewer = page
