// Styles that only some kinds of series need.

// Adds a stylesheet by its address, once; resolves when it is there, or cannot be had.
export function loadStyles(href) {
  if (document.querySelector(`link[href="${CSS.escape(href)}"]`)) return Promise.resolve()
  return new Promise((resolve) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href })
    link.addEventListener("load", resolve)
    link.addEventListener("error", resolve)
    document.head.append(link)
  })
}
