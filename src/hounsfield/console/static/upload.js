// The page of an upload: takes files by drop, by choice of files and of folders, and shows what becomes of them.
import { droppedFiles, inputFiles } from "./chosen_files.js"
import { formatSize } from "./locale.js"
import { hasSessionEnded, signInAgain } from "./session.js"
import { UploadQueue } from "./upload_queue.js"
import { UploadList } from "./upload_list.js"

const root = document.getElementById("upload")
const part = (name) => root.querySelector(`[data-part="${name}"]`)
const numbers = new Intl.NumberFormat()
const SHOWN_EACH_MS = 250
const LISTED_EACH_MS = 1000
const RATE_OVER_MS = 10_000
const BEGIN_WITH = 200

const queue = new UploadQueue({
  url: root.dataset.url,
  mostBytes: Number(root.dataset.mostBytes),
  signIn: signInAgain,
  hasEnded: hasSessionEnded,
  sizeText: formatSize,
})
const list = new UploadList(part("list"), queue, root.dataset.studies)
const samples = []
let timer = 0
let choosing = 0
let listed = 0

const guard = (event) => { event.preventDefault(); event.returnValue = "" }

async function take(files) {
  choosing += 1
  begin()
  try {
    let count = 0
    for await (const chosen of files) {
      queue.add(chosen)
      count += 1
      // A large folder is sent while it is still being read.
      if (count % BEGIN_WITH === 0) queue.start()
    }
  } finally {
    choosing -= 1
    queue.start()
  }
}

function begin() {
  if (timer) return
  root.dataset.state = "running"
  part("transfer").hidden = false
  say("The upload has begun.")
  window.addEventListener("beforeunload", guard)
  samples.length = 0
  timer = setInterval(show, SHOWN_EACH_MS)
  show()
}

function end() {
  clearInterval(timer)
  timer = 0
  window.removeEventListener("beforeunload", guard)
  show()
  root.dataset.state = "done"
  part("look").hidden = !(queue.counts.stored + queue.counts.warned)
  const { stored, warned, failed, cancelled, skipped, duplicate } = queue.counts
  const rest = [[failed, "failed"], [cancelled, "not sent"], [skipped, "left out"], [duplicate, "left out as duplicates"]].filter(([count]) => count)
  say(`The upload has ended: ${counted(stored + warned)} stored${rest.map(([count, words]) => `, ${numbers.format(count)} ${words}`).join("")}.`)
}
queue.onEnd = () => { if (!choosing) end() }

const counted = (count) => `${numbers.format(count)} ${count === 1 ? "file" : "files"}`
function say(words) { if (part("state").textContent !== words) part("state").textContent = words }

function show() {
  const { counts, bytes, pause } = queue
  const sent = queue.sentBytes
  const bar = part("bar")
  bar.max = Math.max(1, bytes.total)
  bar.value = bytes.total ? sent : queue.items.length ? 1 : 0
  const done = counts.stored + counts.warned
  const figures = [`${formatSize(sent)} of ${formatSize(bytes.total)}`, `${numbers.format(queue.items.length - counts.waiting - counts.sending)} of ${counted(queue.items.length)} done, ${numbers.format(done)} stored`]
  if (queue.running) figures.push(...speed(sent, bytes.total - sent))
  part("figures").textContent = figures.join(", ")
  for (const [state, count] of Object.entries(counts)) {
    const place = part(`count-${state}`)
    place.textContent = numbers.format(count)
    place.parentElement.hidden = !count && state !== "stored"
  }
  showPause(pause)
  part("cancel").hidden = !queue.running
  offer("again", queue.sendable, (count) => `Send again (${count})`)
  offer("duplicates", counts.duplicate, (count) => `Send duplicates too (${count})`)
  part("save").hidden = queue.running || !queue.items.length
  if (!queue.running || performance.now() - listed > LISTED_EACH_MS) {
    listed = performance.now()
    list.show()
  }
}

function offer(name, count, words) {
  const button = part(name)
  button.hidden = queue.running || !count
  button.textContent = words(numbers.format(count))
}

function speed(sent, left) {
  const now = performance.now()
  samples.push([now, sent])
  while (samples.length > 2 && now - samples[0][0] > RATE_OVER_MS) samples.shift()
  const rate = ((sent - samples[0][1]) * 1000) / Math.max(1, now - samples[0][0])
  if (queue.pause || rate <= 0 || now - samples[0][0] < 1000) return []
  return [`${formatSize(rate)}/s`, `${duration(left / rate)} left`]
}

function duration(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`
  return `${Math.floor(seconds / 3600)} h ${Math.ceil((seconds % 3600) / 60)} min`
}

const PAUSES = {
  network: "The server cannot be reached. Nothing is lost.",
  busy: "The server asks to wait. Nothing is lost.",
  session: "Your session has ended. Sign in again to go on; nothing is lost.",
}

function showPause(pause) {
  part("pause").hidden = !pause
  if (!pause) return
  root.dataset.pause = pause.kind
  const words = pause.kind === "busy" && pause.reason ? `${PAUSES.busy} It says: ${pause.reason}` : PAUSES[pause.kind]
  if (part("pause-words").textContent !== words) part("pause-words").textContent = words
  const seconds = Math.max(0, Math.ceil((pause.until - Date.now()) / 1000))
  part("pause-seconds").textContent = pause.kind === "session" ? "" : `Trying again in ${seconds} s.`
  part("try-now").textContent = pause.kind === "session" ? "Sign in and go on" : "Try now"
}

for (const [button, input] of [["choose-files", "files"], ["choose-folder", "folder"]]) {
  const chooser = document.getElementById(input)
  part(button).addEventListener("click", () => chooser.click())
  chooser.addEventListener("change", () => {
    const files = inputFiles(chooser)
    chooser.value = ""
    if (files.length) take(files)
  })
}

const isFiles = (event) => event.dataTransfer?.types.includes("Files")
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    if (!isFiles(event)) return
    event.preventDefault()
    event.dataTransfer.dropEffect = "copy"
    root.classList.add("dragged")
  })
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) root.classList.remove("dragged") })
document.addEventListener("drop", (event) => {
  if (!isFiles(event)) return
  event.preventDefault()
  root.classList.remove("dragged")
  take(droppedFiles(event.dataTransfer))
})

part("cancel").addEventListener("click", () => { queue.cancel(); part("choose-files").focus() })
part("again").addEventListener("click", () => { begin(); queue.again("failed", "cancelled"); part("choose-files").focus() })
part("duplicates").addEventListener("click", () => { begin(); queue.again("duplicate"); part("choose-files").focus() })
part("try-now").addEventListener("click", () => queue.tryNow())
part("save").addEventListener("click", () => list.save())
root.dataset.state = "idle"
