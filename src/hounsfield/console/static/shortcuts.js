// Moves the focus to what has a key of its own (data-shortcut), unless one is typing.
export function watchShortcuts() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
    if (event.target.closest?.("input, select, textarea, [contenteditable], dialog")) return
    const target = [...document.querySelectorAll("[data-shortcut]")].find((element) => element.dataset.shortcut === event.key)
    if (!target) return
    event.preventDefault()
    target.focus()
    target.select?.()
  })
}
