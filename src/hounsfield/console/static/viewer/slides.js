// A slide under the microscope: its pyramid in OpenSeadragon, which is loaded with the first slide.
import { Slide } from "./slide_pyramid.js"
import { SlideView } from "./slide_view.js"

// Of a tile.
const MOST_PIXELS = 2 ** 24
let loading = null

// The released file is a script, not a module.
function openSeadragon() {
  loading ??= new Promise((resolve, reject) => {
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("slides.css", import.meta.url) }))
    const script = document.createElement("script")
    script.src = new URL("openseadragon.min.js", import.meta.url)
    script.addEventListener("load", () => {
      const found = window.OpenSeadragon
      // What fails is told by us, in words.
      const nothing = () => {}
      found.console = { log: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing, assert: nothing }
      resolve(found)
    })
    script.addEventListener("error", () => { loading = null; script.remove(); reject(new Error("The viewer of slides does not load.")) })
    document.head.append(script)
    // It would add a style of its own to the page, which the content security policy forbids, unless there is one.
    const style = document.createElementNS("", "style")
    style.setAttribute("data-openseadragon-mobile-css", "")
    document.head.append(style)
  })
  return loading
}

export async function open({ page, series, datasets, path, viewport }) {
  const slide = new Slide(datasets, path)
  // What is in one piece is an image like others.
  if (slide.base.tileColumns * slide.base.tileRows > MOST_PIXELS) {
    const pictures = await import("./pictures.js")
    return pictures.open({ page, series, datasets, path, viewport })
  }
  const library = await openSeadragon()
  if (viewport.wanted !== path.split("/").map(decodeURIComponent).at(-1)) return undefined
  const view = new SlideView({ page, series, viewport, slide, library })
  viewport.host(view)
  return view.open()
}
