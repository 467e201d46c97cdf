// Lookup tables (PS3.3 C.7.6.3.1.5, C.7.9.2, C.11.1.1, C.11.2.1.1): of the modality, of what is of interest, of colours.
import { text, value, values } from "./dicom.js"

const MOST_ENTRIES = 65536
const MOST_SEGMENTS = 2 * MOST_ENTRIES

// Inputs before the first or behind the last entry get that entry.
export class LookupTable {
  constructor(first, bits, entries) {
    this.first = first
    this.entries = entries
    // Some writers state fewer bits than their entries have.
    const largest = entries.reduce((most, entry) => Math.max(most, entry), 0)
    this.bits = Math.max(bits, 32 - Math.clz32(largest))
  }

  get last() { return this.first + this.entries.length - 1 }
  get largest() { return 2 ** this.bits - 1 }

  at(input) {
    const place = Math.trunc(input) - this.first
    return this.entries[place > 0 ? Math.min(place, this.entries.length - 1) : 0]
  }
}

// Reads the table of an item; inputs are the smallest and largest value that it may be asked for. Null where it is none.
export function readTable(item, [descriptor, data, segmented], [low, high]) {
  const described = values(item, descriptor).map(Number)
  if (described.length < 3 || !described.every(Number.isFinite)) return null
  const [count, first, bits] = described.map((one) => one & 0xffff)
  // Of a descriptor only the first input value may be signed: where inputs can be negative, whatever its VR says.
  const isSigned = low < 0 || (item[descriptor].vr === "SS" && first > high)
  const start = isSigned && first >= 32768 ? first - 65536 : first
  if (bits < 1 || bits > 16) return null
  const plain = bytesOf(item[data])
  const packed = plain ? null : bytesOf(item[segmented])
  const entries = plain ? entriesOf(plain, count || MOST_ENTRIES) : packed && expanded(packed, count || MOST_ENTRIES, bits > 8)
  return entries ? new LookupTable(start, bits, entries) : null
}

// A value of binary or of whole numbers as little-endian bytes.
export function bytesOf(element) {
  if (element?.InlineBinary) return Uint8Array.from(atob(element.InlineBinary), (letter) => letter.charCodeAt(0))
  if (!element?.Value?.length) return null
  return new Uint8Array(Uint16Array.from(element.Value, Number).buffer)
}

const words = (bytes) => new Uint16Array(bytes.slice(0, bytes.length - (bytes.length % 2)).buffer)

// Entries of 16 bits, or of 8 where there are so few bytes, whatever the descriptor says.
function entriesOf(bytes, count) {
  if (bytes.length >= 2 * count) return words(bytes).slice(0, count)
  return bytes.length >= count ? Uint16Array.from(bytes.subarray(0, count)) : null
}

// Segments: discrete, linear, and those that stand for others, whose number is bounded.
function expanded(bytes, count, isWide) {
  const units = isWide ? words(bytes) : bytes
  const entries = []
  let left = MOST_SEGMENTS
  const offset = (at) => (isWide ? (units[at] + units[at + 1] * 65536) / 2 : units[at] + units[at + 1] * 256 + units[at + 2] * 65536 + units[at + 3] * 16777216)
  const expand = (from, most) => {
    let at = Math.floor(from)
    for (let done = 0; at + 1 < units.length && entries.length < count && done < most; done += 1) {
      left -= 1
      if (left < 0) return false
      const [kind, length] = [units[at], units[at + 1]]
      if (kind === 0) {
        for (const entry of units.slice(at + 2, at + 2 + length)) entries.push(entry)
        at += 2 + length
      } else if (kind === 1 && entries.length && at + 2 < units.length) {
        const start = entries.at(-1)
        for (let step = 1; step <= length; step += 1) entries.push(roundToEven(start + ((units[at + 2] - start) * step) / length))
        at += 3
      } else if (kind === 2 && most === Infinity && at + (isWide ? 3 : 5) < units.length) {
        if (!expand(offset(at + 2), length)) return false
        at += isWide ? 4 : 6
      } else return false
    }
    return true
  }
  return expand(0, Infinity) && entries.length >= count ? Uint16Array.from(entries.slice(0, count)) : null
}

const roundToEven = (number) => (number % 1 === 0.5 && Math.floor(number) % 2 === 0 ? Math.floor(number) : Math.round(number))

const TABLE = ["00283002", "00283006", ""]
const COLOURS = [["00281101", "00281201", "00281221"], ["00281102", "00281202", "00281222"], ["00281103", "00281203", "00281223"]]

// The modality LUT of an item, which takes the place of slope and intercept.
export const modalityTable = (item, range) => { const first = value(item, "00283000"); return first ? readTable(first, TABLE, range) : null }

// All VOI LUTs of an item, named, as windows that are a table.
export function voiTables(item, range) {
  return values(item, "00283010").flatMap((one, index) => {
    const table = readTable(one, TABLE, range)
    return table ? [{ table, name: text(one, "00283003") || `LUT ${index + 1}`, center: table.first + table.entries.length / 2, width: table.entries.length, curve: "TABLE" }] : []
  })
}

// Red, green and blue of an image, null where one is missing; supplemental ones leave values below the first entry grey.
export function palettesOf(dataset, range) {
  const tables = COLOURS.map((tags) => readTable(dataset, tags, range))
  return tables.every(Boolean) ? tables : null
}

// Entries of 16 bits carry the intensity in their upper byte (PS3.3 C.7.6.3.1.6).
export const colourAt = (tables, stored) => tables.map((table) => Math.min(255, table.at(stored) >> Math.max(table.bits - 8, 0)))
