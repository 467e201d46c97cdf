// Asks to sign in again where the session has ended, and then sends again what was to be sent.
import { csrfToken, setCsrfToken } from "./csrf.js"

export function watchSession() {
  const dialog = document.getElementById("session-ended")
  if (!dialog) return
  let again = null
  document.addEventListener("htmx:configRequest", (event) => { event.detail.headers["X-CSRF-Token"] = csrfToken() })
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status !== 401) return
    const { elt, requestConfig } = event.detail
    again = () => htmx.trigger(elt, requestConfig.triggeringEvent?.type ?? "submit")
    dialog.showModal()
  })
  const form = dialog.querySelector("[data-sign-in-again]")
  form.addEventListener("submit", async (event) => {
    event.preventDefault()
    const answer = await fetch("/console/sign-in", { method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams(new FormData(form)) })
    const result = await answer.json()
    if (!answer.ok) { form.querySelector("[data-reason]").textContent = result.reason; return }
    setCsrfToken(result.csrfToken)
    form.reset()
    dialog.close()
    again?.()
  })
}
