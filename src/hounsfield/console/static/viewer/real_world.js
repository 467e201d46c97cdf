// Real world values of stored ones (PS3.3 C.7.6.16.2.11): each mapping that a file gives for a range of them.
import { groupItems, number, text, value } from "./dicom.js"

// Gives { value, unit, name } of a stored value by each mapping that has it.
export function realWorldValues(frame, stored) {
  return groupItems(frame.dataset, frame.index, "00409096").filter(Boolean).map(read).flatMap(({ first, last, slope, intercept, table, unit, name }) => {
    if (stored < first || stored > last) return []
    const found = table ? Number(table[stored - first]) : stored * slope + intercept
    return Number.isFinite(found) ? [{ value: found, unit, name }] : []
  })
}

function read(item) {
  const units = value(item, "004008EA")
  return {
    first: number(item, "00409214") ?? number(item, "00409216") ?? -Infinity,
    last: number(item, "00409213") ?? number(item, "00409211") ?? Infinity,
    slope: number(item, "00409225") ?? NaN,
    intercept: number(item, "00409224") ?? NaN,
    table: item["00409212"]?.Value ?? null,
    unit: text(units, "00080100") === "1" ? "" : text(units, "00080100"),
    name: text(item, "00409210") || text(item, "00283003") || "Real world value",
  }
}
