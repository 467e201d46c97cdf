// Where images of a series seem to be missing: a way between two that is a multiple of the usual one, or a number that is left out.
import { isParallel, normalOf, placeAlong } from "./dicom.js"

const FEWEST = 4
const MOST = 5000
// How many of the ways must be the usual one for others to mean something.
const USUAL_SHARE = 2 / 3

// Says it in words; nothing where none seem to be missing, or where nothing can be said.
export function gapText(frames) {
  if (frames.length < FEWEST || frames.length > MOST) return ""
  const gaps = gapsOf(placesOf(frames) ?? numbersOf(frames) ?? [])
  if (!gaps.length) return ""
  const places = gaps.slice(0, 2).map(({ index, missing }) => `${missing === 1 ? "1 image" : `${missing} images`} between ${index} and ${index + 1}`)
  const [first, ...others] = [...places, ...(gaps.length > 2 ? [`more at ${gaps.length - 2} other places`] : [])]
  return `May be missing: ${[first, ...others].join(", ")}`
}

function placesOf(frames) {
  const [first] = frames
  if (!first.orientation) return null
  const normal = normalOf(first.orientation)
  const places = []
  for (const frame of frames) {
    if (!frame.position || !isParallel(frame, first)) return null
    places.push(placeAlong(frame, normal))
  }
  // Several images of a place, as over time, are in the order of their numbers.
  return places.every((place, index) => !index || place > places[index - 1]) ? places : []
}

function numbersOf(frames) {
  const numbers = frames.map(({ instanceNumber }) => instanceNumber)
  return numbers.every((number, index) => Number.isInteger(number) && (!index || number > numbers[index - 1])) ? numbers : null
}

function gapsOf(places) {
  const ways = places.slice(1).map((place, index) => place - places[index])
  if (ways.length < FEWEST - 1) return []
  const usual = [...ways].sort((one, other) => one - other)[Math.floor((ways.length - 1) / 2)]
  const isUsual = (way) => Math.abs(way - usual) < usual * 0.1
  if (!(usual > 0) || ways.filter(isUsual).length < ways.length * USUAL_SHARE) return []
  return ways.flatMap((way, index) => (way > usual * 1.5 ? [{ index: index + 1, missing: Math.max(1, Math.round(way / usual) - 1) }] : []))
}
