// Sends a form that is not one of htmx only when it can arrive: what was typed would be gone with the page.
import { serverIsGone } from "./connection.js"
import { lookAtSession, signInAgain } from "./session.js"

export function watchForms() {
  document.addEventListener("submit", async (event) => {
    const { target: form, submitter } = event
    if (event.defaultPrevented || form.method !== "post" || "leaves" in form.dataset || "mayGo" in form.dataset) return
    event.preventDefault()
    if ("isLookedAt" in form.dataset) return
    form.dataset.isLookedAt = ""
    const send = async () => {
      const session = await lookAtSession()
      if (session === "unknown") { serverIsGone(form, send, false); return }
      if (session === "ended" && !(await signInAgain())) return
      form.dataset.mayGo = ""
      form.requestSubmit(submitter)
      delete form.dataset.mayGo
    }
    await send()
    delete form.dataset.isLookedAt
  })
}
