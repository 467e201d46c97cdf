// The panel beside the images: one thing at a time, as metadata, a legend, a tree.

export class SidePanel {
  constructor(element) {
    this.element = element
    this.name = null
    element.querySelector("[data-close]").addEventListener("click", () => this.close())
  }

  // Shows an element under a title; whoever opens under the name that is open takes the place of what was there.
  open(name, title, content, { onClose = () => {} } = {}) {
    if (this.name && this.name !== name) this.close()
    this.name = name
    this.onClose = onClose
    this.element.querySelector("h2").textContent = title
    this.element.querySelector("[data-content]").replaceChildren(content)
    this.element.hidden = false
    this.element.dispatchEvent(new CustomEvent("viewer:side", { bubbles: true }))
  }

  close(name = this.name) {
    if (!this.name || this.name !== name) return
    const { onClose } = this
    this.name = null
    this.element.hidden = true
    this.element.querySelector("[data-content]").replaceChildren()
    this.element.dispatchEvent(new CustomEvent("viewer:side", { bubbles: true }))
    onClose()
  }
}
