// The images of a volume over the wire: first a half of their resolution by byte range, then the rest of their bytes.
import { isDecodable, readCodestream } from "../codestream.js"
import { FrameError, HTJ2K, ask, bodyOf } from "../frames.js"

const AT_ONCE = 6
const TRIES = 4

export class Slices {
  // `share` says where among the frames one begins, from 0 to 1; `onWait()` is called where a frame has to be asked for again.
  constructor(store, share, onWait) {
    Object.assign(this, { store, share, onWait })
    this.starts = new Map()
    this.longest = 0
  }

  // How many bytes half of the resolution may take: as many as of the images so far, and some more.
  #guess({ rows, columns }) { return Math.max(2048, this.longest ? Math.ceil(this.longest * 1.05) : (rows * columns) >> 2) }

  // Loads frames at half of their resolution; false where they are not stored so that they could be.
  async loadHalf(frames, receive, signal) {
    if (frames.some((frame) => !HTJ2K.has(frame.syntax) || Math.min(frame.rows, frame.columns) < 2)) return false
    let isPossible = true
    const load = async (slice) => {
      if (!isPossible) return
      const picture = await this.#half(frames[slice], signal)
      if (picture) receive(slice, picture)
      else isPossible = false
    }
    const failures = await this.#each(frames, load, signal)
    return isPossible ? failures : false
  }

  // Loads frames as they are. Resolves to errors by the number of the frame among them.
  loadFull(frames, receive, signal) {
    return this.#each(frames, async (slice) => receive(slice, await this.#full(frames[slice], signal)), signal)
  }

  // Works through the slices from where one begins outwards, several at once; one that fails does not stop the others.
  async #each(frames, load, signal) {
    const begin = Math.round(this.share * (frames.length - 1))
    const order = frames.map((_, slice) => slice).sort((one, other) => Math.abs(one - begin) - Math.abs(other - begin))
    const failures = new Map()
    const work = async () => {
      while (order.length) {
        const slice = order.shift()
        try {
          await patiently(() => load(slice), this.onWait, signal)
        } catch (error) {
          if (error.name === "AbortError" || error.status === 401 || error.status === 403) throw error
          failures.set(slice, error)
        }
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    return failures
  }

  async #half(frame, signal) {
    const answer = await ask(frame.path, { Accept: "image/jphc", Range: `bytes=0-${this.#guess(frame) - 1}` }, signal)
    if (answer.status === 406) return null
    let bytes = new Uint8Array(await bodyOf(answer))
    const start = { bytes, tag: answer.headers.get("etag"), size: answer.status === 206 ? Number(answer.headers.get("content-range")?.split("/")[1]) : bytes.length }
    const codestream = readCodestream(bytes)
    if (!codestream?.resolutionEnds || codestream.levels < 1 || !isDecodable(codestream) || codestream.components !== 1 || frame.hasOverlayBits) return null
    const end = codestream.resolutionEnds.at(-2)
    this.longest = Math.max(this.longest, end)
    if (bytes.length < end) {
      bytes = await this.#continued(frame, start, end, signal)
      start.bytes = bytes
    }
    this.starts.set(frame.path, start)
    return this.store.decode(frame, bytes.slice(0, end), 1)
  }

  // The bytes up to an end, of which the start is here; all anew where another image has taken the place of that.
  async #continued(frame, { bytes: start, tag, size }, end, signal) {
    const answer = await ask(frame.path, { Accept: "image/jphc", Range: `bytes=${start.length}-${end - 1}` }, signal)
    if (answer.status !== 206 || answer.headers.get("etag") !== tag) return this.#anew(frame, signal)
    const rest = new Uint8Array(await bodyOf(answer))
    if (start.length + rest.length !== Math.min(end, size)) throw new FrameError("The connection ended in the middle of the image.", 0, true)
    const bytes = new Uint8Array(start.length + rest.length)
    bytes.set(start)
    bytes.set(rest, start.length)
    return bytes
  }

  async #anew(frame, signal) {
    const answer = await ask(frame.path, { Accept: "image/jphc" }, signal)
    if (answer.status !== 200) throw new FrameError("The server does not give this image.", answer.status)
    return new Uint8Array(await bodyOf(answer))
  }

  async #full(frame, signal) {
    const here = this.store.at(frame)
    if (here?.components === 1 && !here.isRendered && !here.isReduced) return here
    if (HTJ2K.has(frame.syntax)) {
      const start = this.starts.get(frame.path)
      const bytes = start ? await this.#continued(frame, start, start.size, signal) : await this.#whole(frame, signal)
      this.starts.delete(frame.path)
      const codestream = bytes && readCodestream(bytes)
      if (codestream && isDecodable(codestream)) return this.store.decode(frame, bytes, 0)
    }
    const picture = await this.store.values(frame, signal)
    if (!picture) throw new FrameError("The server does not give the stored values of this image.")
    return picture
  }

  async #whole(frame, signal) {
    const answer = await ask(frame.path, { Accept: "image/jphc" }, signal)
    return answer.status === 406 ? null : new Uint8Array(await bodyOf(answer))
  }
}

// Asks again after a while where the server has no time now, or the connection was lost.
async function patiently(load, onWait, signal) {
  for (let wait = 250, left = TRIES; ; wait *= 2, left -= 1) {
    try {
      return await load()
    } catch (error) {
      if (!error.passes || error.status === 401 || left <= 1) throw error
      if (!error.status && !signal.aborted) onWait()
      await new Promise((resolve) => setTimeout(resolve, wait))
      signal.throwIfAborted()
    }
  }
}
