// Measurements of a report by TID 1500 (PS3.16 annex A) as one table: a row for each number of a measurement group.
import { codeOf, isCode } from "./codes.js"
import { childrenOf, nameOf, numberText, typeOf } from "./content_item.js"
import { text } from "../dicom.js"
import { table } from "./element.js"

const GROUP = "125007"
const MOST_ROWS = 500

function groupsIn(item, depth = 0) {
  if (depth > 20) return []
  return childrenOf(item).flatMap((child) => (isCode(nameOf(child), "DCM", GROUP) ? [child] : groupsIn(child, depth + 1)))
}

// What a group says of a concept, by its code.
function said(group, ...codes) {
  const found = childrenOf(group).find((child) => codes.some(([scheme, code]) => isCode(nameOf(child), scheme, code)))
  if (!found) return ""
  return typeOf(found) === "CODE" ? codeOf(found, "0040A168")?.meaning ?? "" : text(found, "0040A160")
}

// What a number is more closely: how it was taken, from what it was derived.
const modifiers = (item) => childrenOf(item)
  .filter((child) => text(child, "0040A010") === "HAS CONCEPT MOD" && typeOf(child) === "CODE")
  .map((child) => codeOf(child, "0040A168")?.meaning).filter(Boolean).join(", ")

// The table, null where the report has no such groups.
export function measurementTable(report) {
  const groups = groupsIn(report)
  const rows = groups.flatMap((group, index) => {
    const name = said(group, ["DCM", "112039"]) || `Group ${index + 1}`
    const about = [said(group, ["DCM", "121071"]), said(group, ["SCT", "363698007"], ["SRT", "G-C0E3"])].filter(Boolean).join(", ")
    return childrenOf(group).filter((child) => typeOf(child) === "NUM")
      .map((item) => [name, about, nameOf(item)?.meaning ?? "", numberText(item), modifiers(item)])
  })
  if (!rows.length) return null
  const more = rows.length > MOST_ROWS ? ` (the first ${MOST_ROWS} of ${rows.length}; all are below)` : ""
  return table(`Measurements${more}`, ["Lesion or region", "Finding", "Measurement", "Value", "How"], rows.slice(0, MOST_ROWS))
}
