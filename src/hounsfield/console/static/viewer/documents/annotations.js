// Annotations of waveforms (PS3.3 section C.10.10): a table, and marks where they name a moment.
import { numbers, text, values } from "../dicom.js"
import { codeOf, unitText } from "./codes.js"
import { button, table } from "./element.js"
import { dateTimeText } from "./moments.js"

const MOST_ROWS = 1000

// What each says, which channels it is about, and the moments in seconds from the beginning of its group.
export function annotationsOf(dataset, groups) {
  return values(dataset, "0040B020").map((item) => {
    const flat = numbers(item, "0040A0B0")
    const pairs = Array.from({ length: Math.floor(flat.length / 2) }, (_, index) => flat.slice(2 * index, 2 * index + 2))
    const group = groups[(pairs[0]?.[0] ?? 1) - 1]
    const positions = numbers(item, "0040A132")
    // The first sample is number one.
    const moments = positions.length && group ? positions.map((position) => (position - 1) / group.rate) : numbers(item, "0040A138")
    return { name: codeOf(item, "0040A043")?.meaning ?? "", words: wordsOf(item), pairs, group, moments: moments.filter(Number.isFinite), dates: values(item, "0040A13A").map((one) => dateTimeText(String(one))) }
  })
}

function wordsOf(item) {
  const code = codeOf(item, "0040A168")
  const unit = unitText(codeOf(item, "004008EA"))
  const measured = values(item, "0040A30A").map(String).join(", ")
  return [code?.meaning, measured && `${measured} ${unit}`.trim(), text(item, "00700006")].filter(Boolean).join(", ")
}

function channelWords({ pairs, group }) {
  return pairs.map(([, channel]) => (channel === 0 ? "all" : group?.channels[channel - 1]?.name ?? `channel ${channel}`)).join(", ")
}

export function annotationTable(annotations, goTo) {
  if (!annotations.length) return null
  const more = annotations.length > MOST_ROWS ? ` (the first ${MOST_ROWS} of ${annotations.length})` : ""
  return table(`Annotations${more}`, ["What", "Value", "Channels", "At"], annotations.slice(0, MOST_ROWS).map((one) => {
    const at = one.moments.map((moment) => `${Number(moment.toFixed(3))} s`).join(", ") || one.dates.join(", ")
    return [one.name || one.words, one.name ? one.words : "", channelWords(one), one.moments.length && one.group ? button(at, () => goTo(one), { className: "link" }) : at]
  }))
}

export const markWords = ({ name, words }) => (name || words).slice(0, 24)
