// Vectors of three numbers.

export const add = (one, other) => one.map((part, axis) => part + other[axis])
export const minus = (one, other) => one.map((part, axis) => part - other[axis])
export const scaled = (vector, factor) => vector.map((part) => part * factor)
export const dot = (one, other) => one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
export const cross = ([a, b, c], [d, e, f]) => [b * f - c * e, c * d - a * f, a * e - b * d]
export const length = (vector) => Math.hypot(...vector)
export const normalized = (vector) => scaled(vector, 1 / length(vector))

// The rows of the inverse of the matrix that has three vectors as columns.
export function inverted([one, other, third]) {
  const determinant = dot(one, cross(other, third))
  return [cross(other, third), cross(third, one), cross(one, other)].map((row) => scaled(row, 1 / determinant))
}
