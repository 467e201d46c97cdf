// How waveforms lie on a sheet: an electrocardiogram on its standard paper, anything else in calibrated strips.
import { LAYOUTS, RHYTHM, isTwelveLead } from "./leads.js"
import { short } from "./plot.js"

const TOP_MM = 4
const RULER_MM = 8
const PITCH_MM = { 5: 15, 10: 20, 20: 30 }
const PULSE_SECONDS = 0.2
const STRIP_MM = 25
const FILLED_MM = 20
const MARGIN_MM = 5
// An electrocardiogram in columns shows so much at a time.
export const WINDOW_SECONDS = 10
// Beyond this a constant of the electrodes is taken away, and said.
const MOST_SHIFT_MV = 1.5

// Whether all channels go on paper of millimetres a millivolt.
export const isElectrocardiogram = ({ channels }) => channels.some(({ lead }) => lead) && channels.every(({ isVoltage, lead }) => isVoltage || !lead)

// The layouts that a group can have on paper, and strips, which show channels that are no voltage too.
export const STRIPS = "strips"
const voltages = ({ channels }) => channels.filter(({ isVoltage }) => isVoltage)
export const layoutsOf = (group) => [`${voltages(group).length}×1`, ...(isTwelveLead(group.channels) ? Object.keys(LAYOUTS) : []), STRIPS]
export const leftOut = ({ channels }) => channels.filter(({ isVoltage }) => !isVoltage).map(({ name }) => name)

// The sheet of an electrocardiogram; `start` is where the columns begin, in seconds.
export function paper(group, { speed, gain, layout, start }) {
  const pitch = PITCH_MM[gain]
  const pulse = PULSE_SECONDS * speed
  const left = 2 * MARGIN_MM + pulse
  const columns = LAYOUTS[layout]
  const seconds = columns ? Math.min(WINDOW_SECONDS, group.seconds - start) : group.seconds
  const sheet = { group, speed, isPaper: true, strips: [], pulses: [], labels: [], marks: [] }
  const leads = voltages(group)
  const row = (index) => TOP_MM + Math.round((index + 0.5) * pitch)
  const add = (channel, index, from, duration) => {
    const shift = shiftOf(group, channel)
    const x = left + (from - (columns ? start : 0)) * speed
    const moved = shift ? `, moved by ${short(-shift)} mV` : ""
    sheet.strips.push({ channel, from, seconds: duration, x, y: row(index), gain, shift })
    sheet.labels.push({ x: x + 1, y: row(index) - pitch / 2 + 3.5, words: channel.name + moved, right: x + duration * speed })
  }
  const pulseAt = (index) => sheet.pulses.push({ x: MARGIN_MM, y: row(index), width: pulse, height: gain })
  let rows = leads.length
  if (columns) {
    const byLead = (name) => leads.find(({ lead }) => lead === name)
    rows = columns[0].length + 1
    const part = seconds / columns.length
    columns.forEach((names, column) => names.forEach((name, index) => add(byLead(name), index, start + column * part, part)))
    add(byLead(RHYTHM), rows - 1, start, seconds)
  } else leads.forEach((channel, index) => add(channel, index, 0, seconds))
  for (let index = 0; index < rows; index += 1) pulseAt(index)
  sheet.rulers = [{ x: left, from: columns ? start : 0, seconds, speed }]
  sheet.width = left + seconds * speed + MARGIN_MM
  sheet.height = TOP_MM + rows * pitch + RULER_MM
  return sheet
}

function shiftOf(group, channel) {
  const step = Math.max(1, Math.floor(group.count / 2000))
  const found = []
  for (let sample = 0; sample < group.count; sample += step) {
    const value = group.at(channel, sample)
    if (!Number.isNaN(value)) found.push(value)
  }
  found.sort((one, other) => one - other)
  const median = found[Math.floor(found.length / 2)] ?? 0
  return Math.abs(median) > MOST_SHIFT_MV ? Math.round(median * 10) / 10 : 0
}

// Strips of any waveforms, each with a scale of its own that is written beside it.
export function strips(group, channels, { speed }) {
  const sheet = { group, speed, isPaper: false, strips: [], pulses: [], labels: [], marks: [] }
  channels.forEach((channel, index) => {
    const range = group.range(channel)
    const y = TOP_MM + Math.round((index + 0.5) * STRIP_MM)
    const unit = channel.unit || (channel.isCalibrated ? "" : "stored values")
    const x = MARGIN_MM
    if (!range) {
      sheet.labels.push({ x: x + 1, y: y - STRIP_MM / 2 + 4, words: `${channel.name}: nothing recorded` })
      return
    }
    const perMillimetre = nice((range.most - range.least) / FILLED_MM)
    const centre = Math.round((range.most + range.least) / 2 / perMillimetre) * perMillimetre
    sheet.strips.push({ channel, from: 0, seconds: group.seconds, x, y, gain: 1 / perMillimetre, shift: centre })
    const scale = `1 mm = ${plain(perMillimetre)}${unit && ` ${unit}`}, middle ${plain(centre)}${unit && ` ${unit}`}`
    sheet.labels.push({ x: x + 1, y: y - STRIP_MM / 2 + 4, words: `${channel.name}: ${scale}${channel.isCalibrated ? "" : ", not calibrated"}` })
  })
  sheet.rulers = [{ x: MARGIN_MM, from: 0, seconds: group.seconds, speed }]
  sheet.width = 2 * MARGIN_MM + group.seconds * speed
  sheet.height = TOP_MM + channels.length * STRIP_MM + RULER_MM
  return sheet
}

// The next of 1, 2 or 5 times a power of ten.
function nice(value) {
  if (!(value > 0)) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 5, 10].find((step) => step * power >= value * 0.9999) * power
}

const plain = (value) => String(Number(value.toPrecision(4)))
