// The list of the files of an upload: some rows at a time, however many files there are.
import { saveFile } from "./save_file.js"
import { formatSize } from "./locale.js"

const A_PAGE = 100
const WORDS = {
  waiting: "Waiting", sending: "Sending", stored: "Stored", warned: "Stored, with warnings", failed: "Failed",
  skipped: "Left out", duplicate: "Duplicate", cancelled: "Not sent",
}
const LOOKS = { stored: "good", warned: "warn", duplicate: "warn", failed: "bad", cancelled: "bad" }
const STATES = {
  all: () => true,
  problems: ({ state }) => state === "failed" || state === "warned" || state === "cancelled" || state === "duplicate",
  stored: ({ state }) => state === "stored" || state === "warned",
  skipped: ({ state }) => state === "skipped" || state === "duplicate",
}

export class UploadList {
  // studies: the address of the studies of the data store, which that of each is below.
  constructor(root, queue, studies) {
    this.studies = studies
    this.queue = queue
    this.body = root.querySelector("tbody")
    this.choice = root.querySelector("select")
    this.place = root.querySelector("[data-part=place]")
    this.before = root.querySelector("[data-part=before]")
    this.after = root.querySelector("[data-part=after]")
    this.page = 0
    this.shown = ""
    this.choice.addEventListener("change", () => { this.page = 0; this.show() })
    this.before.addEventListener("click", () => { this.page -= 1; this.show() })
    this.after.addEventListener("click", () => { this.page += 1; this.show() })
  }

  show() {
    const found = this.queue.items.filter(STATES[this.choice.value])
    const pages = Math.max(1, Math.ceil(found.length / A_PAGE))
    this.page = Math.min(Math.max(0, this.page), pages - 1)
    const first = this.page * A_PAGE
    const some = found.slice(first, first + A_PAGE)
    const numbers = new Intl.NumberFormat()
    this.place.textContent = found.length ? `${numbers.format(first + 1)} to ${numbers.format(first + some.length)} of ${numbers.format(found.length)}` : "No such files."
    this.before.disabled = this.page === 0
    this.after.disabled = this.page === pages - 1
    // Rows that show what they showed before stay, so that nobody loses a selection of text.
    while (this.body.rows.length > some.length) this.body.deleteRow(-1)
    while (this.body.rows.length < some.length) this.body.append(newRow())
    some.forEach((item, index) => this.#fill(this.body.rows[index], item))
  }

  #fill(row, item) {
    const seen = `${item.state}\n${item.words}\n${item.path}`
    if (row.seen === seen) return
    row.seen = seen
    const [path, size, result] = row.cells
    path.textContent = item.path
    size.textContent = formatSize(item.size)
    const badge = document.createElement("span")
    badge.className = `badge ${LOOKS[item.state] ?? ""}`
    badge.textContent = WORDS[item.state]
    result.replaceChildren(badge, item.words ? ` ${item.words}` : "")
    if (!item.study || !this.studies) return
    const link = document.createElement("a")
    link.href = `${this.studies}/${item.study}`
    link.textContent = "Study"
    link.setAttribute("aria-label", `Study of ${item.path}`)
    result.append(" ", link)
  }

  // Saves all files with what became of them. A text that a spreadsheet would take for a formula gets an apostrophe.
  save() {
    const cell = (text) => `"${String(text).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`
    const lines = this.queue.items.map((item) => [item.path, item.size, WORDS[item.state], item.words, item.uid].map(cell).join(","))
    const text = [["file,bytes,result,message,sopInstanceUID", ...lines].join("\r\n"), "\r\n"]
    saveFile(new Blob(text, { type: "text/csv" }), "upload.csv")
  }
}

function newRow() {
  const row = document.createElement("tr")
  const path = document.createElement("th")
  path.scope = "row"
  const size = document.createElement("td")
  size.className = "number"
  row.append(path, size, document.createElement("td"))
  return row
}
