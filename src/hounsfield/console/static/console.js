// What every page needs beside htmx: locale, theme, CSRF token, a server that is gone, a session that has ended.
import { localise } from "./locale.js"
import { watchConnection } from "./connection.js"
import { watchForms } from "./forms.js"
import { watchMenus } from "./menu.js"
import { watchSession } from "./session.js"
import { watchShortcuts } from "./shortcuts.js"

localise(document)
document.addEventListener("htmx:afterSwap", (event) => localise(event.detail.target.parentElement ?? document))
document.addEventListener("htmx:afterSettle", (event) => {
  // Where a form comes back with what is wrong, that is read out and seen first.
  const error = event.detail.elt.querySelector?.("#error, [aria-invalid=true]")
  if (error?.id === "error") error.tabIndex = -1
  // Where a list was replaced whose link had the focus, the new list gets it.
  const focused = error ?? event.detail.elt.querySelector?.("[data-focus]")
  focused?.focus({ preventScroll: focused !== error })
})
// A study whose picture cannot be had leads to no viewer from here; its own page tells whether it has images.
const unlink = (picture) => {
  const link = picture.closest?.("a.thumbnail")
  if (!link) return
  const place = document.createElement("span")
  place.className = link.className
  place.append(picture)
  link.replaceWith(place)
}
document.addEventListener("error", ({ target }) => unlink(target), true)
for (const picture of document.querySelectorAll("a.thumbnail img")) if (picture.complete && !picture.naturalWidth) unlink(picture)
watchConnection()
watchSession()
watchForms()
watchMenus()
watchShortcuts()

for (const button of document.querySelectorAll("[data-theme-switch]")) {
  const root = document.documentElement
  const isDark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark"
  const say = () => { button.setAttribute("aria-label", isDark() ? "Switch to the light theme" : "Switch to the dark theme"); button.textContent = isDark() ? "Light" : "Dark" }
  say()
  window.addEventListener("storage", ({ key, newValue }) => {
    if (key !== "hounsfield-theme" || !["light", "dark"].includes(newValue)) return
    root.dataset.theme = newValue
    say()
  })
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark"
    try { localStorage.setItem("hounsfield-theme", root.dataset.theme) } catch { /* it counts for this page only */ }
    say()
  })
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]")
  if (!button) return
  const source = document.getElementById(button.dataset.copy)
  // Browsers give a clipboard to pages of HTTPS and of this machine only; elsewhere the text is chosen, ready for Ctrl+C.
  try {
    await navigator.clipboard.writeText(source.textContent)
    button.textContent = "Copied"
  } catch {
    getSelection().selectAllChildren(source)
    button.textContent = "Selected: press Ctrl+C"
  }
})
