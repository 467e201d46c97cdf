// Sends many files in requests of some each, some at a time, until each is stored or has a reason why not. Knows no page.
//
//   add ─▶ waiting ─▶ head read ─┬─▶ sending ─▶ stored | warned | failed
//                                └─▶ skipped | duplicate
//
// What may pass by itself (no network, 429, 502, 503, 504, an ended session) is waited for, and sent again.
import { readHeader } from "./dicom_header.js"
import { outcomesOf, storeFiles, tellsOutcomes } from "./store_request.js"

const FILES_A_REQUEST = 25
const BYTES_A_REQUEST = 32 * 1000 * 1000
const AT_A_TIME = 3
const LONGEST_WAIT_MS = 30_000
const PASSING = new Set([0, 429, 502, 503, 504])
const MARGIN_BYTES = 64 * 1024
const MOST_REFUSALS = 20
// Whoever is answered so is answered so again: not allowed, no such data store, or one that takes nothing, no room left.
const HOPELESS = new Set([403, 404, 409, 507])
const UNREADABLE = "The browser cannot read it: it was changed, moved or removed since it was chosen. Choose it again."

const duplicateWords = (item, first) => `It has the SOP Instance UID of ${first.path} ${first.size === item.size ? "and" : "but not"} its size. It was left out.`

export class UploadQueue {
  // settings: url; mostBytes of a request; signIn and hasEnded, of the session; sizeText, which shows a number of bytes.
  constructor(settings) {
    this.settings = settings
    this.items = []
    this.counts = { waiting: 0, sending: 0, stored: 0, warned: 0, failed: 0, skipped: 0, duplicate: 0, cancelled: 0 }
    this.bytes = { total: 0, settled: 0 }
    this.final = 0
    this.pause = null
    this.running = false
    this.waiting = []
    this.next = 0
    this.flying = new Map()
    this.uids = new Map()
    this.leftOut = new Map()
    this.misses = 0
    this.taking = Promise.resolve()
    this.workers = 0
    this.onEnd = () => {}
  }

  get sentBytes() {
    let flying = 0
    for (const { loaded, size } of this.flying.values()) flying += Math.min(loaded, size)
    return this.bytes.settled + flying
  }

  add({ file, path, error }) {
    const item = { file, path, size: file?.size ?? 0, state: "", words: "", uid: "", study: "", isFinal: false, force: false }
    this.items.push(item)
    if (!file) {
      item.isFinal = true
      this.final += 1
      this.#set(item, "failed", `${UNREADABLE}${error?.name ? ` (${error.name})` : ""}`)
      return
    }
    this.#enqueue(item)
  }

  start() {
    this.running = true
    this.abort ??= new AbortController()
    while (this.workers < AT_A_TIME) {
      this.workers += 1
      this.#work().finally(() => {
        this.workers -= 1
        if (this.workers > 0) return
        this.abort = null
        this.pause = null
        // What waits now was added after the last worker looked, or after it was told to stop.
        if (this.next < this.waiting.length) { this.start(); return }
        this.running = false
        this.onEnd()
      })
    }
  }

  cancel() {
    this.abort?.abort()
    this.pause?.end()
    this.#drop("Not sent.")
  }

  // Gives up what waits; what is being sent comes to its end.
  #drop(words) {
    for (; this.next < this.waiting.length; this.next += 1) this.#settle(this.waiting[this.next], "cancelled", words)
  }

  // How many files are worth to be sent again: what was not stored, without what would fail again.
  get sendable() { return this.counts.failed + this.counts.cancelled - this.final }

  // Sends again what was not stored, or what was left out as a duplicate.
  again(...states) {
    for (const item of this.items) {
      if (!states.includes(item.state) || item.isFinal) continue
      item.force = true
      this.#enqueue(item)
    }
    this.start()
  }

  tryNow() { this.pause?.end() }

  #enqueue(item) {
    if (item.state) this.bytes.settled -= item.size
    else this.bytes.total += item.size
    this.#set(item, "waiting", "")
    this.waiting.push(item)
  }

  #set(item, state, words) {
    if (item.state) this.counts[item.state] -= 1
    this.counts[state] += 1
    item.state = state
    item.words = words
  }

  // An item that is done with counts as sent, whatever became of it, so that the bar comes to its end.
  #settle(item, state, words, { study = "", isFinal = false } = {}) {
    item.study = study
    item.isFinal = isFinal
    if (isFinal) this.final += 1
    this.bytes.settled += item.size
    if (state === "failed") this.#sendOther(item)
    this.#set(item, state, words)
  }

  // Another file that says it is the same instance may be whole where the first is not.
  #sendOther(item) {
    if (this.uids.get(item.uid) !== item) return
    this.uids.delete(item.uid)
    const [other, ...rest] = (this.leftOut.get(item.uid) ?? []).filter(({ state }) => state === "duplicate")
    if (!other) return
    this.#enqueue(other)
    for (const one of rest) one.words = duplicateWords(one, other)
  }

  async #work() {
    while (!this.abort.signal.aborted) {
      const batch = await this.#take()
      if (!batch.length) return
      await this.#send(batch)
    }
  }

  // Takes what the next request sends; one worker at a time.
  #take() {
    const taken = this.taking.then(() => this.#choose())
    this.taking = taken.catch(() => {})
    return taken
  }

  async #choose() {
    const batch = []
    let bytes = 0
    while (!batch.length && this.next < this.waiting.length) {
      const some = this.waiting.slice(this.next, this.next + FILES_A_REQUEST)
      const heads = await Promise.all(some.map((item) => readHeader(item.file).catch(() => null)))
      for (const [index, item] of some.entries()) {
        if (item.state !== "waiting") continue
        if (batch.length && bytes + item.size > BYTES_A_REQUEST) break
        this.next += 1
        if (!this.#admit(item, heads[index])) continue
        batch.push(item)
        bytes += item.size
      }
      if (this.abort.signal.aborted) break
    }
    if (this.next > 10_000) { this.waiting.splice(0, this.next); this.next = 0 }
    for (const item of batch) this.#set(item, "sending", "")
    return batch
  }

  #admit(item, head) {
    const { mostBytes, sizeText } = this.settings
    if (!head) this.#settle(item, "failed", UNREADABLE)
    else if (head.kind === "empty") this.#settle(item, "skipped", "The file is empty.")
    else if (head.kind === "other") this.#settle(item, "skipped", "This is no DICOM file.")
    else if (head.kind === "directory") this.#settle(item, "skipped", "This is the index of a medium (DICOMDIR), no image.")
    else if (item.size + MARGIN_BYTES > mostBytes) this.#settle(item, "failed", `It has ${sizeText(item.size)}, the server takes ${sizeText(mostBytes)} in a request. Import it from a bucket.`, { isFinal: true })
    else return this.#admitOnce(item, head.uid)
    return false
  }

  #admitOnce(item, uid) {
    item.uid = uid
    const first = this.uids.get(uid)
    if (uid && first && first !== item && !item.force) {
      this.leftOut.set(uid, [...(this.leftOut.get(uid) ?? []), item])
      this.#settle(item, "duplicate", duplicateWords(item, first))
      return false
    }
    if (uid && !first) this.uids.set(uid, item)
    return true
  }

  async #send(batch) {
    let left = batch
    let refusals = 0
    while (left.length) {
      if (!(await this.#clear())) return this.#close(left, "cancelled", "Not sent.")
      const answer = await this.#post(left)
      if (tellsOutcomes(answer)) {
        this.misses = 0
        for (const [index, { state, words, ...more }] of outcomesOf(answer.content, left.map((item) => item.uid)).entries()) this.#settle(left[index], state, words, more)
        return undefined
      }
      if (this.abort.signal.aborted) return this.#close(left, "cancelled", "It was being sent; whether it was stored is not known.")
      // A server may refuse before it has read the files, so that the browser never sees the answer.
      const isOut = answer.status === 401 || (answer.status === 403 && !answer.content) || (answer.status === 0 && (await this.settings.hasEnded()))
      if (isOut && refusals < MOST_REFUSALS) {
        refusals += 1
        await this.#wait("session", answer)
      } else if (PASSING.has(answer.status)) {
        const readable = await this.#readable(left)
        if (readable.length === left.length) await this.#wait(answer.status === 0 ? "network" : "busy", answer)
        left = readable
      } else {
        const reason = answer.reason || `The server answered with the status ${answer.status}.`
        const words = answer.requestId ? `${reason} (request id ${answer.requestId})` : reason
        if (HOPELESS.has(answer.status)) this.#drop(words)
        return this.#close(left, "failed", words)
      }
    }
    return undefined
  }

  async #post(batch) {
    const flight = { loaded: 0, size: batch.reduce((sum, item) => sum + item.size, 0) }
    this.flying.set(batch, flight)
    try {
      return await storeFiles(this.settings.url, batch.map((item) => item.file), { signal: this.abort.signal, onProgress: (loaded) => { flight.loaded = loaded } })
    } finally {
      this.flying.delete(batch)
    }
  }

  #close(batch, state, words) {
    for (const item of batch) this.#settle(item, state, words)
  }

  // Where nothing was answered, a file may have been the cause that is not what it was. Gives those that can still be read.
  async #readable(batch) {
    const states = await Promise.all(batch.map((item) => item.file.slice(0, 1).arrayBuffer().then(() => true, () => false)))
    return batch.filter((item, index) => {
      if (!states[index]) this.#settle(item, "failed", UNREADABLE)
      return states[index]
    })
  }

  #delay(retryAfter) {
    this.misses += 1
    const own = Math.min(LONGEST_WAIT_MS, 1000 * 2 ** Math.min(this.misses - 1, 6)) * (0.75 + Math.random() / 2)
    return Math.max(own, Math.min(retryAfter * 1000, 10 * LONGEST_WAIT_MS))
  }

  // Waits where all workers have to; gives false where there is no more to do.
  async #clear() {
    while (this.pause) await this.pause.over
    return !this.abort.signal.aborted
  }

  async #wait(kind, { retryAfter, reason }) {
    this.pause ??= this.#newPause(kind, kind === "session" ? 0 : this.#delay(retryAfter), reason)
    await this.pause.over
  }

  #newPause(kind, milliseconds, reason) {
    let end
    const ended = new Promise((resolve) => { end = resolve })
    const pause = { kind, reason, until: Date.now() + milliseconds, end }
    const timer = kind === "session" ? 0 : setTimeout(end, milliseconds)
    pause.over = ended.then(() => {
      clearTimeout(timer)
      if (this.pause === pause) this.pause = null
    })
    if (kind === "session") this.settings.signIn().then((signedIn) => { if (signedIn) end() })
    return pause
  }
}
