// Asks to sign in again where the session has ended, and then sends again what was to be sent.
import { csrfToken, setCsrfToken } from "./csrf.js"

let asking = null

// Asks once, however many want to know; gives whether there is a session again.
export function signInAgain() {
  asking ??= ask().finally(() => { asking = null })
  return asking
}

// Gives whether the server says that there is no session; where it says nothing, that is not known.
export async function hasSessionEnded() {
  const answer = await fetch("/console/session-status").catch(() => null)
  return answer?.status === 401
}

async function ask() {
  if (await findSession()) return true
  const dialog = document.getElementById("session-ended")
  if (!dialog) return false
  dialog.showModal()
  await new Promise((resolve) => { dialog.addEventListener("close", resolve, { once: true }) })
  return dialog.returnValue === "signed-in" || findSession()
}

// Whoever signed in again in another tab has a session, whose token this page takes over.
async function findSession() {
  const answer = await fetch("/console/session-status").catch(() => null)
  if (!answer?.ok) return false
  setCsrfToken((await answer.json()).csrfToken)
  return true
}

export function watchSession() {
  const dialog = document.getElementById("session-ended")
  if (!dialog) return
  document.addEventListener("htmx:configRequest", (event) => { event.detail.headers["X-CSRF-Token"] = csrfToken() })
  document.addEventListener("htmx:responseError", async (event) => {
    if (event.detail.xhr.status !== 401) return
    const { elt, requestConfig } = event.detail
    if (await signInAgain()) htmx.trigger(elt, requestConfig.triggeringEvent?.type ?? "submit")
  })
  const form = dialog.querySelector("[data-sign-in-again]")
  form.addEventListener("submit", async (event) => {
    event.preventDefault()
    const answer = await fetch("/console/sign-in", { method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams(new FormData(form)) })
    const result = await answer.json()
    if (!answer.ok) { form.querySelector("[data-reason]").textContent = result.reason; return }
    setCsrfToken(result.csrfToken)
    form.reset()
    dialog.close("signed-in")
  })
}
