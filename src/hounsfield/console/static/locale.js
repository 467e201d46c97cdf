// Shows moments, sizes and numbers as the reader's locale has them; what the server wrote stays in the title.
const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" })
const hours = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" })
const days = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" })
// Moments of DICOM have no time zone: they are read and shown in one and the same.
const clocks = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" })
const numbers = new Intl.NumberFormat()
const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte"]

export function formatSize(bytes) {
  let unit = 0
  let value = bytes
  while (value >= 999.5 && unit < UNITS.length - 1) { value /= 1000; unit += 1 }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1
  return new Intl.NumberFormat(undefined, { style: "unit", unit: UNITS[unit], unitDisplay: unit ? "short" : "long", maximumFractionDigits: digits }).format(value)
}

export function localise(root) {
  for (const element of root.querySelectorAll("time[datetime]:not([data-shown])")) {
    const zoned = element.dateTime.endsWith("Z")
    const isDay = element.dateTime.length === 10
    const moment = new Date(zoned || isDay ? element.dateTime : `${element.dateTime}Z`)
    if (Number.isNaN(moment.getTime())) continue
    element.title = element.textContent.trim()
    const format = { day: days, hour: hours }[element.dataset.as] ?? (zoned ? moments : isDay ? days : clocks)
    element.textContent = format.format(moment)
    element.dataset.shown = ""
  }
  for (const element of root.querySelectorAll("data[data-as]:not([data-shown])")) {
    const value = Number(element.value)
    if (!Number.isFinite(value)) continue
    if (element.dataset.as === "size") element.title = `${numbers.format(value)} bytes`
    element.textContent = element.dataset.as === "size" ? formatSize(value) : numbers.format(value)
    element.dataset.shown = ""
  }
}
