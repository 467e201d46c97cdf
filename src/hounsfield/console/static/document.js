// Goes to the place where a policy document is wrong.
function goToFault(root) {
  for (const area of root.querySelectorAll("textarea[data-line]")) {
    const lines = area.value.split("\n")
    const line = Number(area.dataset.line) - 1
    const start = lines.slice(0, line).reduce((sum, one) => sum + one.length + 1, 0)
    const at = Math.min(start + Number(area.dataset.column) - 1, area.value.length)
    area.focus()
    area.setSelectionRange(at, at)
    area.scrollTop = Math.max(0, (line / Math.max(lines.length, 1)) * area.scrollHeight - area.clientHeight / 2)
  }
}

document.addEventListener("htmx:afterSettle", () => goToFault(document))
goToFault(document)
