// Tells that the server cannot be reached, notices when it can again, and sends again what was not answered.
import { sendAgain } from "./send_again.js"

const PROBE_MS = 3000
const banner = document.getElementById("connection")
const words = banner?.querySelector("[data-words]")
const button = banner?.querySelector("button")
const unanswered = new Map()
let timer = 0

// What was not answered is sent again by `send`: by itself where it only reads, else when somebody says so. It may have
// been carried out already.
export function serverIsGone(element, send, onlyReads) {
  unanswered.set(element, { send, onlyReads })
  show("The server cannot be reached. Nothing you typed is lost. It is looked for every few seconds.", "Try now")
  if (!timer) timer = setTimeout(probe, PROBE_MS)
}

function show(text, action) {
  if (words.textContent !== text) words.textContent = text
  button.textContent = action
  banner.hidden = false
}

async function probe() {
  timer = 0
  if (banner.hidden) return
  const icon = document.querySelector('link[rel="icon"]').href
  const answer = await fetch(icon, { method: "HEAD", cache: "no-store" }).catch(() => null)
  if (!answer || answer.status >= 500) { timer = setTimeout(probe, PROBE_MS); return }
  for (const [element, { send, onlyReads }] of unanswered) {
    if (!onlyReads) continue
    unanswered.delete(element)
    send()
  }
  if (unanswered.size) show("The server answers again. What you sent last was not answered.", "Send it again")
  else banner.hidden = true
}

function tryNow() {
  const all = [...unanswered.values()]
  unanswered.clear()
  banner.hidden = true
  for (const { send } of all) send()
}

// An answer of a proxy before a server that is gone; our own says where it is to be shown.
const isOfProxy = (request) => request.status >= 502 && request.status <= 504 && !request.getResponseHeader("HX-Retarget")

export function watchConnection() {
  if (!banner) return
  const lost = ({ detail }) => {
    serverIsGone(detail.elt, () => sendAgain(detail), detail.requestConfig.verb === "get")
  }
  document.addEventListener("htmx:sendError", lost)
  document.addEventListener("htmx:timeout", lost)
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!isOfProxy(event.detail.xhr)) return
    event.detail.shouldSwap = false
    lost(event)
  })
  document.addEventListener("htmx:afterOnLoad", ({ detail }) => {
    if (isOfProxy(detail.xhr)) return
    unanswered.delete(detail.elt)
    if (!unanswered.size) banner.hidden = true
  })
  button.addEventListener("click", tryNow)
}
