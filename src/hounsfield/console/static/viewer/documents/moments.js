// Dates and times of DICOM (VRs DA, TM and DT, PS3.5 section 6.2) in the reader's locale. They are shown as the clock that
// wrote them had them, with its offset where it says one; what is no whole date or time is shown as it is.

const UTC = { timeZone: "UTC" }
const days = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", ...UTC })
const clocks = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", ...UTC })
const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", ...UTC })
const DATE = /^(\d{4})(\d{2})(\d{2})$/
const TIME = /^(\d{2})(\d{2})(\d{2})?(\.\d{1,6})?$/
const DATE_TIME = /^(\d{8})(\d{2}\d{2}(?:\d{2})?(?:\.\d{1,6})?)?([+-]\d{4})?$/

function momentOf(date, time) {
  const [, year, month, day] = DATE.exec(date) ?? []
  const [, hours = 0, minutes = 0, seconds = 0] = (time && TIME.exec(time)) || []
  if (!year || (time && !TIME.test(time))) return null
  const moment = new Date(Date.UTC(year, month - 1, day, hours, minutes, Math.min(59, seconds ?? 0)))
  return moment.getUTCMonth() === month - 1 && moment.getUTCDate() === Number(day) && hours < 24 && minutes < 60 ? moment : null
}

export function dateText(date, time = "") {
  const moment = momentOf(date, time)
  if (!moment) return [date, time && timeText(time)].filter(Boolean).join(" ")
  return (time ? moments : days).format(moment)
}

export function timeText(time) {
  const moment = momentOf("20000101", time)
  return moment ? clocks.format(moment) : time
}

export function dateTimeText(text) {
  const [, date, time, offset] = DATE_TIME.exec(text) ?? []
  if (!date || !momentOf(date, time)) return text
  return [dateText(date, time ?? ""), offset && `UTC${offset.slice(0, 3)}:${offset.slice(3)}`].filter(Boolean).join(" ")
}

// A person's name (VR PN) in the order that all pages of the console have: family name, given and middle name (prefix, suffix); then
// its other forms.
export function nameText(name) {
  if (!name || typeof name !== "object") return String(name ?? "")
  const listed = (form) => {
    const parts = form.replace(/[\^ ]+$/, "").split("^").map((part) => part.trim())
    // What is no name of five components is shown as it is.
    if (parts.length > 5 || !parts[0]) return form
    const [family, given = "", middle = "", prefix = "", suffix = ""] = parts
    const own = [given, middle].filter(Boolean).join(" ")
    const titles = [prefix, suffix].filter(Boolean).join(", ")
    return [family, own].filter(Boolean).join(", ") + (titles && ` (${titles})`)
  }
  const written = (form) => form.split("^").map((part) => part.trim()).filter(Boolean).join(" ")
  const others = [name.Ideographic, name.Phonetic].filter(Boolean).map(written)
  return [name.Alphabetic && listed(name.Alphabetic), ...others].filter(Boolean).join(" ")
}
