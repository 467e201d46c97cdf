// A region of a document (SCOORD, PS3.3 section C.18.6) over the image that it is of.

// Coordinates are columns and rows, the first pixel begins at 0: those that layers draw in.
export class RegionLayer {
  constructor({ sop, frames }, shape, points) {
    this.sop = sop
    this.frames = frames
    this.path = pathOf(shape, points)
  }

  draw({ context, frame, scale, ratio }) {
    if (!this.path || frame.sop !== this.sop || (this.frames.length && !this.frames.includes(frame.index + 1))) return
    for (const [colour, width] of [["#000", 4], ["#ffd75e", 2]]) {
      context.strokeStyle = colour
      context.lineWidth = (width * ratio) / scale.x
      context.lineCap = "round"
      context.stroke(this.path)
    }
  }
}

function pathOf(shape, points) {
  const path = new Path2D()
  if (shape === "POINT" || shape === "MULTIPOINT") {
    for (const [x, y] of points) for (const [dx, dy] of [[4, 0], [0, 4]]) { path.moveTo(x - dx, y - dy); path.lineTo(x + dx, y + dy) }
  } else if (shape === "POLYLINE" || shape === "POLYGON") {
    points.forEach(([x, y], index) => (index ? path.lineTo(x, y) : path.moveTo(x, y)))
    if (shape === "POLYGON") path.closePath()
  } else if (shape === "CIRCLE" && points.length === 2) {
    const [[x, y], [edgeX, edgeY]] = points
    path.arc(x, y, Math.hypot(edgeX - x, edgeY - y), 0, 2 * Math.PI)
  } else if (shape === "ELLIPSE" && points.length === 4) {
    const [[ax, ay], [bx, by], [cx, cy], [dx, dy]] = points
    const half = (x, y) => Math.hypot(x, y) / 2
    path.ellipse((ax + bx) / 2, (ay + by) / 2, half(bx - ax, by - ay), half(dx - cx, dy - cy), Math.atan2(by - ay, bx - ax), 0, 2 * Math.PI)
  } else return null
  return path
}
