// Closes a menu by Escape, and when one looks elsewhere.
export function watchMenus() {
  const close = (except) => { for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false }
  document.addEventListener("click", (event) => close(event.target.closest?.("details.menu")))
  document.addEventListener("focusin", (event) => close(event.target.closest?.("details.menu")))
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest?.("details.menu[open]")
    if (!menu) return
    menu.open = false
    menu.querySelector("summary").focus()
  })
}
