// Words on the canvas of what a layer cannot show there, so that nobody takes an image without its overlay for one that has none.

export function note(viewport, layer, words) {
  const { context, canvas, ratio } = viewport
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.globalAlpha = 1
  context.font = `${13 * ratio}px system-ui, sans-serif`
  context.textAlign = "center"
  context.lineWidth = 3 * ratio
  context.strokeStyle = "#000"
  context.fillStyle = "#ff8f96"
  const y = (42 + 18 * viewport.layers.indexOf(layer)) * ratio
  context.strokeText(words, canvas.width / 2, y, canvas.width * 0.9)
  context.fillText(words, canvas.width / 2, y, canvas.width * 0.9)
}
