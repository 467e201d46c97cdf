// Has the browser save a content under a name; nothing of it goes over the wire.
const KEPT_MS = 60_000

export function saveFile(content, name) {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(content)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS)
}
