// A series as a stack of frames: where one is, what is loaded, and what is fetched ahead.

const AHEAD = 40
const AT_ONCE = 3

export class Stack {
  constructor(series, frames, store) {
    this.series = series
    this.frames = frames
    this.store = store
    this.index = 0
    this.listeners = new Set()
    this.loading = null
    this.ahead = new AbortController()
    this.direction = 1
    this.failures = new Map()
  }

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
    this.loading?.abort()
    const frame = this.frame
    const loading = this.loading = new AbortController()
    const tell = (picture, failure) => { if (this.frame === frame) for (const listener of this.listeners) listener(frame, picture, failure) }
    try {
      await this.store.load(frame, { onPicture: (picture) => tell(picture, null), signal: loading.signal })
      this.failures.delete(frame.path)
    } catch (error) {
      if (error.name === "AbortError") return
      this.failures.set(frame.path, error)
      tell(null, error)
    }
    if (this.frame === frame) this.#fetchAhead()
  }

  close() {
    this.loading?.abort()
    this.ahead.abort()
    this.listeners.clear()
  }

  // Fetches the neighbours, those in the direction of travel first, a few at a time; begins anew wherever one goes.
  async #fetchAhead() {
    this.ahead.abort()
    const ahead = this.ahead = new AbortController()
    const order = []
    for (let step = 1; step <= AHEAD && order.length < this.frames.length - 1; step += 1) {
      order.push(this.index + step * this.direction, this.index - step * this.direction)
    }
    const wanted = order.map((index) => this.frames[index]).filter((frame) => frame && !this.store.kept.has(frame.path) && !this.failures.has(frame.path))
    const work = async () => {
      while (wanted.length && !ahead.signal.aborted) {
        const frame = wanted.shift()
        try {
          await this.store.load(frame, { signal: ahead.signal, isUrgent: false })
        } catch (error) {
          if (error.name !== "AbortError") this.failures.set(frame.path, error)
        }
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  }
}
