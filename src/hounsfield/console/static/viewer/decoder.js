// A few decoding threads; what is asked for last is decoded first, since that is what somebody looks at now.

export class Decoder {
  constructor(threads = Math.max(1, Math.min(4, (navigator.hardwareConcurrency || 2) - 1))) {
    this.most = threads
    this.threads = 0
    this.idle = []
    this.waiting = []
    this.asked = new Map()
    this.last = 0
    while (this.threads < threads) this.#start()
  }

  #start() {
    const begun = window.viewerBegun?.decoder
    if (begun) window.viewerBegun.decoder = null
    const worker = begun ?? new Worker(new URL("decode_worker.js", import.meta.url))
    worker.addEventListener("message", (event) => this.#finish(worker, event.data))
    worker.addEventListener("error", () => this.#fail(worker))
    this.idle.push(worker)
    this.threads += 1
  }

  // Resolves to {width, height, components, samples: typed array}; rejects where the codestream does not decode.
  decode(bytes, level, isUrgent = true) {
    return new Promise((resolve, reject) => {
      const job = { id: ++this.last, bytes, level, resolve, reject }
      if (isUrgent) this.waiting.push(job)
      else this.waiting.unshift(job)
      this.#next()
    })
  }

  #next() {
    // One that could not be loaded, as while the server was gone, is begun again when there is something to decode.
    while (this.waiting.length && (this.idle.length || this.threads < this.most)) {
      if (!this.idle.length) this.#start()
      const job = this.waiting.pop()
      job.worker = this.idle.pop()
      this.asked.set(job.id, job)
      job.worker.postMessage({ id: job.id, bytes: job.bytes, level: job.level })
    }
  }

  #finish(worker, answer) {
    const job = this.asked.get(answer.id)
    this.asked.delete(answer.id)
    this.idle.push(worker)
    if (answer.failure) job.reject(new Error(answer.failure))
    else job.resolve({ width: answer.width, height: answer.height, components: answer.components, samples: typed(answer) })
    this.#next()
  }

  #fail(worker) {
    worker.terminate()
    this.threads -= 1
    this.idle = this.idle.filter((one) => one !== worker)
    for (const [id, job] of this.asked) {
      if (job.worker !== worker) continue
      this.asked.delete(id)
      job.reject(new Error("the decoder could not be loaded"))
    }
    this.#next()
  }
}

function typed({ samples, sampleBytes, signed }) {
  if (sampleBytes === 1) return new Uint8Array(samples)
  return signed ? new Int16Array(samples) : new Uint16Array(samples)
}
