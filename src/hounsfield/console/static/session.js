// Asks to sign in again where the session has ended, and then sends again what was to be sent.
//
//   401, or "stale" in place of the CSRF token ─▶ lookAtSession ─▶ here: take over its token ─▶ send again
//                                                                └▶ ended: dialog ─▶ signed in, here or in another tab ─┘
import { csrfToken, setCsrfToken } from "./csrf.js"
import { sendAgain } from "./send_again.js"

const STATUS = "/console/session-status"
const channel = new BroadcastChannel("hounsfield-session")
const principal = document.querySelector('meta[name="principal"]')?.content
const dialog = document.getElementById("session-ended")
const form = dialog?.querySelector("form")
let asking = null

// Asks once, however many want to know; gives whether there is a session again.
export function signInAgain() {
  asking ??= ask().finally(() => { asking = null })
  return asking
}

// Gives whether the server says that there is no session; where it says nothing, that is not known.
export const hasSessionEnded = async () => (await lookAtSession()) === "ended"

// Gives "here", "ended", or "unknown" where the server does not answer. A session begun in another tab is taken over.
export async function lookAtSession() {
  const answer = await fetch(STATUS, { cache: "no-store", headers: { Accept: "application/json" } }).catch(() => null)
  if (answer?.status === 401) return "ended"
  if (!answer?.ok) return "unknown"
  return takeOver(await answer.json())
}

// A page that was made for somebody else is left: what is on it is not for whoever is signed in now.
function takeOver(session) {
  if (session.arn !== principal) {
    location.assign(location.href)
    return new Promise(() => {})
  }
  setCsrfToken(session.csrfToken)
  return "here"
}

async function ask() {
  if ((await lookAtSession()) === "here") return true
  if (!dialog) return false
  dialog.returnValue = ""
  const closed = new Promise((resolve) => { dialog.addEventListener("close", resolve, { once: true }) })
  dialog.showModal()
  await closed
  return dialog.returnValue === "signed-in"
}

// Where somebody signed in in another tab, or with another program of the same browser, the dialog is done.
async function lookElsewhere() {
  if (dialog.open && (await lookAtSession()) === "here" && dialog.open) close()
}

function close() {
  if (form) {
    form.reset()
    form.querySelector("[data-reason]").textContent = ""
  }
  dialog.close("signed-in")
}

async function submit(event) {
  event.preventDefault()
  const reason = form.querySelector("[data-reason]")
  reason.textContent = ""
  const body = new URLSearchParams(new FormData(form))
  const answer = await fetch("/console/sign-in", { method: "POST", headers: { Accept: "application/json" }, body }).catch(() => null)
  const result = await answer?.json().catch(() => null)
  if (!result) { reason.textContent = "The server cannot be reached. Try again."; return }
  if (!answer.ok) {
    reason.textContent = result.reason
    form.elements.secret_access_key.select()
    return
  }
  await takeOver(result)
  channel.postMessage("signed in")
  close()
}

export function watchSession() {
  if (!dialog) return
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    detail.headers["X-CSRF-Token"] = csrfToken()
    // What a page asks for by itself, such as for progress, does not keep a session alive.
    if (!detail.triggeringEvent) detail.headers["X-Background"] = "true"
  })
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (isStale(detail.xhr)) detail.shouldSwap = false
  })
  document.addEventListener("htmx:responseError", async ({ detail }) => {
    if ((detail.xhr.status === 401 || isStale(detail.xhr)) && (await signInAgain())) sendAgain(detail)
  })
  form?.addEventListener("submit", submit)
  channel.addEventListener("message", ({ data }) => { data === "signed in" ? lookElsewhere() : leave() })
  document.addEventListener("visibilitychange", lookElsewhere)
  // A browser may show a page as it was when one goes back to it, also after signing out.
  window.addEventListener("pageshow", ({ persisted }) => { if (persisted) leave() })
  // Whoever sees this page is signed in; a tab that waits for that goes on.
  channel.postMessage("signed in")
}

const isStale = (request) => request.status === 403 && request.getResponseHeader("X-CSRF-Token") === "stale"

// Somebody may have signed out in another tab: then nobody goes on here.
async function leave() {
  if (!dialog.open && (await hasSessionEnded())) signInAgain()
}
