// Video (PS3.5 sections 8.2.5 to 8.2.12): played by the browser from the server by byte ranges, or said why it cannot be.
import { number, text } from "../dicom.js"
import { about } from "./about.js"
import { button, element } from "./element.js"
import { DocumentHost } from "./host.js"
import { kindName } from "./sop_classes.js"

const CODECS = [
  [/\.4\.10[01](\.1)?$/, "MPEG-2", "video/mpeg"],
  [/\.4\.10[2-6](\.1)?$/, "H.264", "video/mp4"],
  [/\.4\.10[78]$/, "H.265", "video/mp4"],
]
const HEAD_BYTES = 4096
const PAGE_SECONDS = 5

export function open({ page, viewport, datasets, path }) {
  const name = (dataset) => text(dataset, "0008103E") || kindName(text(dataset, "00080016"))
  return DocumentHost.open({ page, viewport, datasets, name, show: (dataset, host) => show(dataset, host, path) })
}

async function show(dataset, host, path) {
  const [, codec, type] = CODECS.find(([pattern]) => pattern.test(text(dataset, "00083002")))
  const frame = `${path}/instances/${encodeURIComponent(text(dataset, "00080018"))}/frames/1`
  // As it is stored: whatever kind of video it is, it goes out in this form, with byte ranges.
  const address = `${frame}?accept=${encodeURIComponent("application/octet-stream; transfer-syntax=*")}`
  const container = await containerOf(address)
  host.tools.append(element("a", { className: "save", href: address, download: `video.${container.ending}` }, "Save file"))
  const facts = about(dataset, [
    ["Video", `${codec} in ${container.name}`],
    ["Size", [number(dataset, "00280011"), number(dataset, "00280010")].filter(Boolean).join(" × ")],
    ["Frames", text(dataset, "00280008")],
    ["Frame rate", rateOf(dataset) ? `${Number(rateOf(dataset).toFixed(3))} a second` : ""],
  ])
  const canPlay = container.isPlayable && codec !== "MPEG-2"
  const player = canPlay ? new Player(address, type, dataset) : null
  const reason = element("p", { className: "warning" }, canPlay ? "" : `Browsers do not play ${codec} in ${container.name}. Save the file to play it with a program of its own.`)
  if (player) player.onFailure = (words) => { reason.textContent = words; player.element.hidden = true }
  host.body.append(element("article", { className: "video-page" }, reason, player?.element ?? null, facts))
  return player ?? {}
}

// What the stream is wrapped in, by its first bytes.
async function containerOf(address) {
  const answer = await fetch(address, { headers: { Range: `bytes=0-${HEAD_BYTES - 1}` }, cache: "no-store" }).catch(() => null)
  if (!answer) throw new Error("The server cannot be reached.")
  if (answer.status === 403) throw new Error("You may not see this video.")
  if (answer.status === 401) throw new Error("Your session has ended. Sign in again in another tab.")
  if (!answer.ok) throw new Error(`The server does not give this video (${answer.status}).`)
  const bytes = new Uint8Array(await answer.arrayBuffer())
  const words = new TextDecoder("latin1").decode(bytes.subarray(0, 16))
  if (words.slice(4, 8) === "ftyp") return { name: "MP4", ending: "mp4", isPlayable: true }
  if (bytes[0] === 0x47 && bytes[188] === 0x47) return { name: "an MPEG transport stream", ending: "ts", isPlayable: false }
  if (words.startsWith("\0\0\x01\xba")) return { name: "an MPEG program stream", ending: "mpg", isPlayable: false }
  if (words.startsWith("\0\0\x01") || words.startsWith("\0\0\0\x01")) return { name: "a bare stream", ending: "bin", isPlayable: false }
  if (words.startsWith("\x1a\x45\xdf\xa3")) return { name: "Matroska", ending: "mkv", isPlayable: true }
  return { name: "an unknown container", ending: "bin", isPlayable: true }
}

// Frames a second, as the file says; null where it does not.
function rateOf(dataset) {
  const time = number(dataset, "00181063")
  const rate = number(dataset, "00180040") || number(dataset, "00082144") || (time > 0 ? 1000 / time : 0)
  return rate > 0 ? rate : null
}

class Player {
  constructor(address, type, dataset) {
    this.rate = rateOf(dataset)
    this.onFailure = () => {}
    this.place = element("output", { className: "measured" })
    this.video = element("video", { controls: true, preload: "metadata", playsInline: true, attributes: { "aria-label": text(dataset, "0008103E") || "Video" } })
    this.video.append(element("source", { src: address, type }))
    this.element = element("div", { className: "player" }, this.video,
      element("div", { className: "document-tools" },
        button("Frame back", () => this.scroll(-1)), button("Frame on", () => this.scroll(1)), this.place),
      element("p", { className: "fine" }, "Arrows move by a frame, Page up and down by 5 s, Home and End to the ends; Space plays."))
    // Of a source that cannot be played the source says so, of what breaks later the video.
    for (const one of [this.video, this.video.firstElementChild]) one.addEventListener("error", () => this.#fail())
    for (const name of ["timeupdate", "seeked", "loadedmetadata"]) this.video.addEventListener(name, () => this.#tell())
  }

  close() {
    this.onFailure = () => {}
    this.video.pause()
    this.video.replaceChildren()
    this.video.load()
  }

  toggle() {
    if (this.video.paused) this.video.play().catch(({ name }) => { if (name !== "AbortError") this.#fail() })
    else this.video.pause()
  }

  scroll(steps) {
    const { video } = this
    if (!Number.isFinite(video.duration)) return
    if (!Number.isFinite(steps)) video.currentTime = steps > 0 ? video.duration : 0
    else if (Math.abs(steps) >= 10) video.currentTime = Math.min(video.duration, Math.max(0, video.currentTime + Math.sign(steps) * PAGE_SECONDS))
    else {
      video.pause()
      // To the middle of a frame, so that rounding shows no other.
      const rate = this.rate ?? 25
      const frame = Math.floor(video.currentTime * rate + 1e-3) + steps
      video.currentTime = Math.min(video.duration, Math.max(0, (frame + 0.5) / rate))
    }
  }

  #tell() {
    const { currentTime, duration } = this.video
    const frame = this.rate ? `, frame ${Math.min(Math.floor(currentTime * this.rate + 1e-3), Math.ceil(duration * this.rate) - 1) + 1} of ${Math.round(duration * this.rate)}` : ""
    this.place.textContent = Number.isFinite(duration) ? `${currentTime.toFixed(2)} of ${duration.toFixed(2)} s${frame}` : ""
  }

  #fail() {
    const { error } = this.video
    const isLost = error?.code === MediaError.MEDIA_ERR_NETWORK
    this.onFailure(isLost ? "The connection ended in the middle of the video." : "This browser cannot play this video. Save the file to play it with a program of its own.")
  }
}
