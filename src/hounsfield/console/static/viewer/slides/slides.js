// A slide under the microscope: its pyramid in OpenSeadragon, which is loaded with the first slide.
import { Slide } from "./pyramid.js"
import { SlideView } from "./view.js"

// Of a tile.
const MOST_PIXELS = 2 ** 24
let loading = null

// The released file is a script, not a module. It takes sizes from the page, so the styles must be there before it draws.
function openSeadragon() {
  loading ??= Promise.all([
    added("link", { rel: "stylesheet", href: new URL("slides.css", import.meta.url) }),
    added("script", { src: new URL("openseadragon.min.js", import.meta.url) }),
  ]).then(() => {
    // It would add a style of its own to the page, which the content security policy forbids, unless there is one.
    const style = document.createElementNS("", "style")
    style.setAttribute("data-openseadragon-mobile-css", "")
    document.head.append(style)
    const found = window.OpenSeadragon
    // What fails is told by us, in words.
    const nothing = () => {}
    found.console = { log: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing, assert: nothing }
    return found
  })
  loading.catch(() => { loading = null })
  return loading
}

// Adds an element to the page that loads something; resolves when that is there.
function added(name, properties) {
  return new Promise((resolve, reject) => {
    const element = Object.assign(document.createElement(name), properties)
    element.addEventListener("load", resolve)
    element.addEventListener("error", () => { element.remove(); reject(new Error("The viewer of slides does not load. Open the series again.")) })
    document.head.append(element)
  })
}

export async function open({ page, series, datasets, path, viewport }) {
  const slide = new Slide(datasets, path)
  // What is in one piece is an image like others.
  if (slide.base.tileColumns * slide.base.tileRows > MOST_PIXELS) {
    const pictures = await import("../pictures.js")
    return pictures.open({ page, series, datasets, path, viewport })
  }
  const library = await openSeadragon()
  if (viewport.wanted !== path.split("/").map(decodeURIComponent).at(-1)) return undefined
  const view = new SlideView({ page, series, viewport, slide, library })
  viewport.host(view)
  return view.open()
}
