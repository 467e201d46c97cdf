// Samples of a multiplex group of waveforms (PS3.3 section C.10.9), and the values that they stand for.
import { number, text, values } from "../dicom.js"
import { codeOf, unitText } from "./codes.js"
import { leadOf } from "./leads.js"

const ARRAYS = {
  "8 SB": Int8Array, "8 UB": Uint8Array, "8 MB": Uint8Array, "8 AB": Uint8Array, "16 SS": Int16Array, "16 US": Uint16Array,
  "32 SL": Int32Array, "32 UL": Uint32Array, "64 SV": BigInt64Array, "64 UV": BigUint64Array,
}
const BLOCK = 512
const VOLTS = { V: 1, mV: 1e-3, uV: 1e-6, "µV": 1e-6, nV: 1e-9 }
const BY_MEANING = { volt: "V", millivolt: "mV", microvolt: "uV", nanovolt: "nV" }

// Linear values of the bytes of a telephone (ITU-T G.711), μ-law of 14 bits and A-law of 13.
const expandMu = (byte) => {
  const bits = ~byte & 0xff
  const size = ((((bits & 15) << 1) + 33) << ((bits >> 4) & 7)) - 33
  return bits & 0x80 ? -size : size
}
const expandA = (byte) => {
  const bits = byte ^ 0x55
  const segment = (bits >> 4) & 7
  const size = segment ? (((bits & 15) << 1) + 33) << (segment - 1) : ((bits & 15) << 1) + 1
  return bits & 0x80 ? size : -size
}
const EXPANDED = { MB: Float64Array.from({ length: 256 }, (_, byte) => expandMu(byte)), AB: Float64Array.from({ length: 256 }, (_, byte) => expandA(byte)) }

export class WaveformGroup {
  // `bytes` are those of the samples, null where there are none.
  constructor(item, bytes) {
    this.label = text(item, "003A0020")
    this.rate = number(item, "003A001A")
    this.offset = number(item, "00181068") ?? 0
    this.interpretation = text(item, "54001006")
    this.bits = number(item, "54001004")
    this.channelCount = number(item, "003A0005") ?? 0
    this.saidCount = number(item, "003A0010")
    this.warnings = []
    const Stored = ARRAYS[`${this.bits} ${this.interpretation}`]
    if (!Stored) throw new Error(`Its samples have ${this.bits ?? "an unknown number of"} bits as ${this.interpretation || "an unknown kind"}, which the standard does not have.`)
    if (!(this.rate > 0)) throw new Error("It does not say how many samples a second has, so nothing can be drawn at the right speed.")
    if (!(this.channelCount > 0) || !bytes?.length) throw new Error("It has no samples.")
    const sampleBytes = Stored.BYTES_PER_ELEMENT
    const there = Math.floor(bytes.length / (sampleBytes * this.channelCount))
    this.count = Math.min(this.saidCount ?? there, there)
    if (this.saidCount === undefined) this.warnings.push("It does not say how many samples it has. All that are there are shown.")
    if (this.count < this.saidCount) this.warnings.push(`It says to have ${this.saidCount} samples a channel, but ends after ${this.count}. The rest is missing.`)
    if (!this.count) throw new Error("It has no whole sample of all channels.")
    this.stored = new Stored(bytes.buffer, bytes.byteOffset, this.count * this.channelCount)
    this.padding = paddingOf(item, Stored)
    this.channels = this.#channels(values(item, "003A0200"))
    this.blocks = new Map()
  }

  get seconds() { return this.count / this.rate }

  #channels(definitions) {
    if (definitions.length < this.channelCount) this.warnings.push(`Only ${definitions.length} of its ${this.channelCount} channels are described. The others have no name and no unit.`)
    return Array.from({ length: this.channelCount }, (_, index) => channelOf(definitions[index], index, this.rate))
  }

  // The value of a sample in the unit of its channel; NaN where nothing was recorded.
  at(channel, sample) {
    const raw = this.stored[sample * this.channelCount + channel.index]
    if (raw === this.padding) return NaN
    const expanded = EXPANDED[this.interpretation]
    return (expanded ? expanded[raw] : Number(raw)) * channel.factor + channel.baseline
  }

  // The least and the greatest value of a channel, null where it has none.
  range(channel) { return this.extremes(channel, 0, this.count) }

  // The least and the greatest value from one sample to before another, null where there is none. Those of whole blocks are
  // found once, so that a day can be drawn again and again.
  extremes(channel, from, to) {
    const found = { least: Infinity, most: -Infinity }
    const firstBlock = Math.ceil(from / BLOCK)
    const lastBlock = Math.floor(to / BLOCK)
    if (lastBlock <= firstBlock) this.#look(channel, from, to, found)
    else {
      const blocks = this.#blocksOf(channel)
      this.#look(channel, from, firstBlock * BLOCK, found)
      for (let block = firstBlock; block < lastBlock; block += 1) {
        found.least = Math.min(found.least, blocks[2 * block])
        found.most = Math.max(found.most, blocks[2 * block + 1])
      }
      this.#look(channel, lastBlock * BLOCK, to, found)
    }
    return found.least <= found.most ? found : null
  }

  #look(channel, from, to, found) {
    for (let sample = from; sample < to; sample += 1) {
      const value = this.at(channel, sample)
      if (value < found.least) found.least = value
      if (value > found.most) found.most = value
    }
  }

  #blocksOf(channel) {
    if (!this.blocks.has(channel)) {
      const count = Math.floor(this.count / BLOCK)
      const blocks = new Float64Array(2 * count)
      for (let block = 0; block < count; block += 1) {
        const found = { least: Infinity, most: -Infinity }
        this.#look(channel, block * BLOCK, (block + 1) * BLOCK, found)
        blocks[2 * block] = found.least
        blocks[2 * block + 1] = found.most
      }
      this.blocks.set(channel, blocks)
    }
    return this.blocks.get(channel)
  }
}

function paddingOf(item, Stored) {
  const attribute = item["5400100A"]
  if (attribute?.InlineBinary) {
    const bytes = Uint8Array.from(atob(attribute.InlineBinary), (one) => one.charCodeAt(0))
    return bytes.length >= Stored.BYTES_PER_ELEMENT ? new Stored(bytes.buffer, 0, 1)[0] : undefined
  }
  return attribute?.Value?.[0]
}

function channelOf(definition, index, rate) {
  const source = codeOf(definition, "003A0208")
  const lead = definition ? leadOf(definition) : null
  const sensitivity = number(definition, "003A0210")
  const unit = codeOf(definition, "003A0211")
  const isCalibrated = Number.isFinite(sensitivity) && sensitivity !== 0 && unit !== null
  const volts = VOLTS[unit?.value] ?? VOLTS[BY_MEANING[unit?.meaning.toLowerCase()]]
  // In millivolts wherever it is a voltage, so that channels of one paper compare.
  const scale = isCalibrated && volts ? volts / 1e-3 : 1
  const said = number(definition, "003A0212")
  const correction = Number.isFinite(said) ? said : 1
  return {
    index,
    lead,
    name: lead ?? (text(definition, "003A0203") || source?.meaning || `Channel ${index + 1}`),
    source: source?.meaning ?? "",
    isCalibrated,
    isVoltage: isCalibrated && Boolean(volts),
    unit: !isCalibrated ? "" : volts ? "mV" : unitText(unit),
    saidUnit: unitText(unit),
    sensitivity,
    correction,
    factor: isCalibrated ? sensitivity * correction * scale : 1,
    baseline: isCalibrated ? (number(definition, "003A0213") || 0) * scale : 0,
    // How much later than the group its first sample was taken, in seconds.
    delay: number(definition, "003A0214") || (number(definition, "003A0215") || 0) / rate,
    low: number(definition, "003A0220"),
    high: number(definition, "003A0221"),
    notch: number(definition, "003A0222"),
  }
}

// Which filters the device used, such as 0.05–150 Hz.
export function filterText({ low, high, notch }) {
  const band = low > 0 && high > 0 ? `${low}–${high} Hz` : low > 0 ? `from ${low} Hz` : high > 0 ? `to ${high} Hz` : ""
  return [band, notch > 0 && `without ${notch} Hz`].filter(Boolean).join(", ")
}
