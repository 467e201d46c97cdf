// Waveforms: electrocardiograms on standard paper, others as calibrated strips, with what they measure in words.
import { text, values } from "../dicom.js"
import { about } from "./about.js"
import { annotationTable, annotationsOf, markWords } from "./annotations.js"
import { bytesOf } from "./bulk.js"
import { button, element, table } from "./element.js"
import { DocumentHost } from "./host.js"
import { PX_PER_MM, Plot, short } from "./plot.js"
import { WaveformGroup, filterText } from "./samples.js"
import { STRIPS, WINDOW_SECONDS, isElectrocardiogram, layoutsOf, leftOut, paper, strips } from "./sheets.js"
import { kindName } from "./sop_classes.js"
import { dateTimeText } from "./moments.js"

const SPEEDS = [100, 50, 25, 12.5, 5, 1]
const GAINS = [5, 10, 20]
const MOST_MARKS = 500
// A canvas for more than these would be higher than browsers can draw.
const MOST_STRIPS = 256

export function open({ page, viewport, datasets }) {
  return DocumentHost.open({ page, viewport, datasets, show, name: (dataset) => kindName(text(dataset, "00080016")) })
}

async function show(dataset, host) {
  const items = values(dataset, "54000100")
  const sections = []
  for (const item of items) {
    const tell = (share) => host.say(`Loading … ${Math.round(share * 100)} %`)
    try {
      const bytes = await bytesOf(host.page, item["54001010"], tell)
      sections.push(new GroupSection(new WaveformGroup(item, bytes), sections.length))
    } catch (error) {
      sections.push({ failure: error.message, label: text(item, "003A0020") })
    }
  }
  const annotations = annotationsOf(dataset, sections.map(({ group }) => group))
  for (const section of sections) if (section.group) section.mark(annotations.filter(({ group }) => group === section.group))
  const goTo = ({ group, moments }) => sections.find((section) => section.group === group)?.goTo(moments[0])
  host.body.append(element("article", { className: "waveforms" },
    element("h2", {}, kindName(text(dataset, "00080016"))),
    about(dataset, [["Recorded", dateTimeText(text(dataset, "0008002A"))]]),
    items.length ? null : element("p", { className: "warning" }, "This object has no waveforms."),
    ...sections.map((section, index) => section.element ?? failed(section, index)),
    annotationTable(annotations, goTo)))
  for (const section of sections) section.update?.()
  return {
    close: () => { for (const section of sections) section.plot?.close() },
    reveal: ({ channels }) => { sections[(channels[0]?.[0] ?? 1) - 1]?.element?.scrollIntoView() },
  }
}

const failed = ({ failure, label }, index) => element("section", {},
  element("h3", {}, label || `Group ${index + 1}`), element("p", { className: "warning" }, `This group cannot be shown. ${failure}`))

class GroupSection {
  constructor(group, index) {
    this.group = group
    this.isPaper = isElectrocardiogram(group)
    this.start = 0
    this.annotations = []
    const title = group.label || `Group ${index + 1}`
    this.title = title
    this.plot = new Plot(`${title}: waveforms`)
    this.note = element("p", { className: "fine" })
    this.measured = element("output", { className: "measured" })
    this.plot.tell = (words) => { this.measured.textContent = words }
    this.element = element("section", { className: "waveform" },
      element("h3", {}, `${title} – ${group.channelCount} channel${group.channelCount > 1 ? "s" : ""}, ${duration(group.seconds)}, ${group.rate} samples a second${group.offset ? `, begins at ${group.offset} ms` : ""}`),
      ...group.warnings.map((words) => element("p", { className: "warning" }, words)),
      this.#bar(), this.note, this.plot.element,
      element("p", { className: "fine" }, "Drag to measure; or press C, then Shift with the arrows. Arrows move along."),
      this.#table())
  }

  mark(annotations) { this.annotations = annotations }

  goTo(seconds) {
    const { speed, rulers: [{ x, from, seconds: shown }] } = this.plot.sheet
    if (seconds < from || seconds > from + shown) { this.start = Math.max(0, seconds - WINDOW_SECONDS / 2); this.update() }
    this.element.scrollIntoView({ block: "nearest" })
    this.plot.goTo(x + (seconds - this.plot.sheet.rulers[0].from) * speed)
  }

  update() {
    const { group, plot } = this
    const speed = this.speed.value === "fit" ? this.#fitting() : Number(this.speed.value)
    const isPaper = this.isPaper && this.layout.value !== STRIPS
    const sheet = isPaper
      ? paper(group, { speed, gain: Number(this.gain.value), layout: this.layout.value, start: this.start })
      : strips(group, group.channels.slice(0, MOST_STRIPS), { speed })
    const { rulers: [{ x, from, seconds }] } = sheet
    sheet.marks = this.annotations.flatMap((one) => one.moments.map((moment) => ({ moment, words: markWords(one) })))
      .filter(({ moment }) => moment >= from && moment <= from + seconds).sort((one, other) => one.moment - other.moment).slice(0, MOST_MARKS)
      .map(({ moment, words }) => ({ x: x + (moment - from) * speed, y: 0.5, words }))
    for (const step of this.steps) step.hidden = seconds >= group.seconds
    this.gain.parentElement.hidden = !isPaper
    const others = isPaper ? leftOut(group) : []
    const notDrawn = isPaper ? 0 : Math.max(0, group.channels.length - MOST_STRIPS)
    this.note.textContent = [
      others.length ? `Not on this paper, because they are no voltage: ${others.join(", ")}. The layout of strips has them.` : "",
      notDrawn ? `Only the first ${MOST_STRIPS} of ${group.channels.length} channels are drawn. The table below has all.` : "",
    ].filter(Boolean).join(" ")
    plot.show(sheet, this.#words(sheet, speed))
  }

  #fitting() {
    const room = this.plot.element.clientWidth / PX_PER_MM - 30
    return Math.max(room, 60) / this.group.seconds
  }

  #words(sheet, speed) {
    const names = this.group.channels.map(({ name }) => name).join(", ")
    const scale = sheet.isPaper ? `${speedText(speed)}, ${this.gain.value} mm/mV, layout ${this.layout.value}` : speedText(speed)
    return `${sheet.isPaper ? "Electrocardiogram" : "Waveforms"} on a grid of 1 mm and 5 mm, ${scale}, ${duration(sheet.rulers[0].seconds)}: ${names}. The table below has the least and greatest values.`
  }

  #bar() {
    const choose = (words, options, chosen, onChange = () => this.update()) => {
      const select = element("select", {}, ...options.map(([value, label]) => new Option(label, value, false, value === chosen)))
      select.addEventListener("change", onChange)
      return [element("label", {}, words, " ", select), select]
    }
    const isLong = this.group.seconds > 120
    const first = this.isPaper ? "25" : isLong || this.group.seconds < 2 ? "fit" : "25"
    const [speedLabel, speed] = choose("Speed", [...SPEEDS.map((one) => [String(one), `${one} mm/s`]), ["fit", "whole recording"]], first)
    const [gainLabel, gain] = choose("Gain", GAINS.map((one) => [String(one), `${one} mm/mV`]), "10")
    const layouts = layoutsOf(this.group)
    const [layoutLabel, layout] = choose("Layout", layouts.map((one) => [one, one]), leftOut(this.group).length ? STRIPS : layouts[0])
    const move = (sign) => () => {
      const last = Math.max(0, this.group.seconds - WINDOW_SECONDS)
      this.start = Math.min(last, Math.max(0, this.start + sign * WINDOW_SECONDS))
      this.update()
    }
    this.steps = [button("Earlier", move(-1)), button("Later", move(1))]
    Object.assign(this, { speed, gain, layout })
    const own = this.isPaper ? [gainLabel, layouts.length > 1 ? layoutLabel : null, ...this.steps] : []
    return element("div", { className: "document-tools" }, speedLabel, ...own, this.measured)
  }

  #table() {
    const { group } = this
    return table(`Channels of ${this.title}`, ["Channel", "Source", "Least", "Greatest", "Unit", "Sensitivity", "Filter"], group.channels.map((channel) => {
      const range = group.range(channel)
      const sensitivity = channel.isCalibrated ? `${channel.sensitivity} ${channel.saidUnit}${channel.correction === 1 ? "" : ` × ${channel.correction}`}` : "not said: stored values, not calibrated"
      return [channel.name, channel.source, range ? short(range.least) : "–", range ? short(range.most) : "–", channel.unit || "–", sensitivity, filterText(channel)]
    }))
  }
}

const speedText = (speed) => `${Number(speed.toPrecision(3))} mm/s`
const duration = (seconds) => (seconds < 120 ? `${Number(seconds.toFixed(2))} s` : seconds < 7200 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`)
