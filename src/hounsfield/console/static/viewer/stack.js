// A series as a stack of frames: where one is, what is loaded, and what is fetched ahead.
import { liesAlong, normalOf, placeAlong } from "./dicom.js"
import { gapText } from "./gaps.js"

const AHEAD = 40
const AT_ONCE = 3
const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 15000

export class Stack {
  constructor(series, frames, store) {
    this.series = series
    this.frames = frames
    this.store = store
    this.index = 0
    this.listeners = new Set()
    this.loading = null
    this.ahead = new AbortController()
    this.queue = []
    this.workers = 0
    this.direction = 1
    this.failures = new Map()
    this.again = 0
    this.wait = FIRST_WAIT_MS
    this.onReturn = () => this.retry()
    window.addEventListener("online", this.onReturn)
    window.addEventListener("focus", this.onReturn)
  }

  // Says where images seem to be missing, worked out once.
  get gapText() { return (this.gaps ??= gapText(this.frames)) }

  get frame() { return this.frames[this.index] }

  // Calls a function with (frame, picture, failure) for everything that is to be shown.
  listen(listener) { this.listeners.add(listener) }

  async go(index) {
    const target = Math.min(this.frames.length - 1, Math.max(0, index))
    this.direction = target >= this.index ? 1 : -1
    this.index = target
    await this.show()
  }

  async show() {
    clearTimeout(this.again)
    this.loading?.abort()
    const frame = this.frame
    if (!this.store.isFast && !this.store.kept.has(frame.path)) this.ahead.abort()
    const loading = this.loading = new AbortController()
    const tell = (picture, failure) => { if (this.frame === frame) for (const listener of this.listeners) listener(frame, picture, failure) }
    try {
      await this.store.load(frame, { onPicture: (picture) => tell(picture, null), signal: loading.signal })
      this.failures.delete(frame.path)
      this.wait = FIRST_WAIT_MS
    } catch (error) {
      if (error.name === "AbortError") return
      this.failures.set(frame.path, error)
      tell(null, error)
      if (this.frame === frame && error.passes) this.#showLater(error)
    }
    if (this.frame === frame) this.#fetchAhead()
  }

  // Tries again what failed for a reason that may have passed, as when the connection or the session is back.
  retry() {
    if (this.listeners.size && this.failures.get(this.frame.path)) this.show()
  }

  // A server that is gone is asked again, less and less often. Who has no session is asked to sign in.
  async #showLater(error) {
    if (error.status === 401) {
      const { signInAgain } = await import("../session.js")
      if (await signInAgain()) this.retry()
      return
    }
    this.again = setTimeout(() => this.retry(), this.wait)
    this.wait = Math.min(LONGEST_WAIT_MS, this.wait * 2)
  }

  close() {
    clearTimeout(this.again)
    this.loading?.abort()
    this.ahead.abort()
    this.listeners.clear()
    window.removeEventListener("online", this.onReturn)
    window.removeEventListener("focus", this.onReturn)
  }

  // The index of the frame that lies nearest to another one of parallel frames.
  nearestTo(target) {
    const normal = normalOf(target.orientation)
    const along = (frame) => (frame.position && liesAlong(frame, target) ? placeAlong(frame, normal) : NaN)
    const key = target.orientation.join()
    if (this.places?.key !== key) this.places = { key, list: Float64Array.from(this.frames, along) }
    const place = along(target)
    let [nearest, least] = [this.index, Infinity]
    this.places.list.forEach((one, index) => {
      const distance = Math.abs(one - place)
      if (distance < least) [nearest, least] = [index, distance]
    })
    return nearest
  }

  // Fetches the neighbours, those in the direction of travel first, a few at a time; the list is another one wherever one goes.
  #fetchAhead() {
    const order = []
    for (let step = 1; step <= AHEAD && order.length < this.frames.length - 1; step += 1) {
      order.push(this.index + step * this.direction, this.index - step * this.direction)
    }
    const { kept, coming } = this.store
    this.queue = order.map((index) => this.frames[index]).filter((frame) => frame && !kept.has(frame.path) && !coming.has(frame.path) && !this.failures.has(frame.path))
    if (this.ahead.signal.aborted) {
      this.ahead = new AbortController()
      this.workers = 0
    }
    while (this.listeners.size && this.workers < AT_ONCE && this.workers < this.queue.length) this.#work(this.ahead)
  }

  async #work(ahead) {
    this.workers += 1
    while (this.queue.length && !ahead.signal.aborted) {
      const frame = this.queue.shift()
      try {
        await this.store.load(frame, { signal: ahead.signal, isUrgent: false })
      } catch (error) {
        if (error.name === "AbortError") continue
        // What does not decode is not asked for again; of a server that is gone nothing more is asked.
        if (error.passes) this.queue = []
        else this.failures.set(frame.path, error)
      }
    }
    if (this.ahead === ahead) this.workers -= 1
  }
}
