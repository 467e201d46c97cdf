// Tells that the server cannot be reached, and tries again what htmx asked for.
export function watchConnection() {
  const banner = document.getElementById("connection")
  document.addEventListener("htmx:sendError", (event) => {
    banner.hidden = false
    banner.textContent = "The server cannot be reached. Nothing you typed is lost. "
    const button = document.createElement("button")
    button.type = "button"
    button.textContent = "Try again"
    const { elt, requestConfig } = event.detail
    button.addEventListener("click", () => {
      banner.hidden = true
      htmx.trigger(elt, requestConfig.triggeringEvent?.type ?? "submit")
    })
    banner.append(button)
  })
  document.addEventListener("htmx:afterOnLoad", () => { banner.hidden = true })
}
