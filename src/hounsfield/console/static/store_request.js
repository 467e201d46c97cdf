// One request of STOW-RS (PS3.18 section 10.5): some files as parts, and what became of each by the answer.
import { csrfToken } from "./csrf.js"

const FAILED = "00081198", STORED = "00081199", OTHERS = "0008119A"
const REFERENCED_UID = "00081155", URL = "00081190", WARNING = "00081196", REASON = "00081197", COMMENT = "00000902"

// Sends files; the browser reads them while it sends. Gives status (0 if there is no answer), content, reason, request id.
export function storeFiles(url, files, { signal, onProgress }) {
  const boundary = `hounsfield-${crypto.randomUUID?.() ?? Math.random().toString(36).slice(2)}`
  const parts = files.flatMap((file) => [`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`, file, "\r\n"])
  const body = new Blob([...parts, `--${boundary}--\r\n`])
  return new Promise((resolve) => {
    const request = new XMLHttpRequest()
    const end = () => {
      signal.removeEventListener("abort", stop)
      resolve(answerOf(request))
    }
    const stop = () => request.abort()
    request.open("POST", url)
    request.setRequestHeader("Content-Type", `multipart/related; type="application/dicom"; boundary=${boundary}`)
    request.setRequestHeader("Accept", "application/dicom+json")
    request.setRequestHeader("X-CSRF-Token", csrfToken())
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded))
    request.addEventListener("loadend", end)
    signal.addEventListener("abort", stop)
    request.send(body)
  })
}

function answerOf(request) {
  let content = null
  try { content = JSON.parse(request.responseText) } catch { /* not every answer is JSON */ }
  return {
    status: request.status,
    content,
    reason: content?.message ?? content?.Message ?? (content ? "" : request.responseText.slice(0, 300)),
    requestId: request.getResponseHeader("x-amzn-requestid") ?? "",
    retryAfter: Number(request.getResponseHeader("retry-after")) || 0,
  }
}

// Whether an answer says what became of each file.
export const tellsOutcomes = ({ content }) => Boolean(content && (content[FAILED] || content[STORED] || content[OTHERS]))

// What became of each file, in their order, by the UIDs that they say they have: {state, words, study, isFinal}.
export function outcomesOf(content, uids) {
  const value = (item, tag) => item[tag]?.Value?.[0]
  const items = (tag) => content[tag]?.Value ?? []
  const found = [
    ...items(STORED).map((item) => ({ uid: value(item, REFERENCED_UID), outcome: stored(item, value) })),
    ...items(FAILED).map((item) => ({ uid: value(item, REFERENCED_UID), outcome: failed(item, value) })),
    ...items(OTHERS).map((item) => ({ uid: "", outcome: failed(item, value) })),
  ]
  const byUid = new Map()
  for (const one of found) if (one.uid) byUid.set(one.uid, [...(byUid.get(one.uid) ?? []), one])
  const used = new Set()
  const outcomes = uids.map((uid) => {
    const one = uid ? byUid.get(uid)?.shift() : undefined
    if (one) used.add(one)
    return one?.outcome
  })
  // What is left has no UID, or another one than its head says. It is told apart only where all of it ended alike.
  const rest = found.filter((one) => !used.has(one)).map((one) => one.outcome)
  const alike = rest.every((outcome) => outcome.state === rest[0].state) && rest.length === outcomes.filter((one) => !one).length
  return outcomes.map((outcome) => outcome ?? (alike ? rest.shift() : { state: "failed", words: "The server did not say what became of this file. Send it again." }))
}

function stored(item, value) {
  const warned = value(item, WARNING)
  const words = warned === undefined ? "" : value(item, COMMENT) || `Warning ${hex(warned)}`
  const place = item[URL] ? "" : "It is not in the primary image set of its series."
  const study = /\/studies\/([^/]+)\/series\//.exec(item[URL]?.Value?.[0] ?? "")?.[1] ?? ""
  return { state: warned === undefined ? "stored" : "warned", words: [words, place].filter(Boolean).join(" "), study }
}

function failed(item, value) {
  const reason = Number(value(item, REASON) ?? 0)
  return { state: "failed", words: `${value(item, COMMENT) || "The server gave no reason."} (${hex(reason)})`, isFinal: isFinal(reason) }
}

// Whether the same file fails again: it is not of the study, cannot be understood, or its SOP Class is not taken (PS3.18 Table I.2-2).
const isFinal = (reason) => reason === 0x0122 || reason >> 8 === 0xa9 || reason >> 12 === 0xc
const hex = (code) => `0x${Number(code).toString(16).toUpperCase().padStart(4, "0")}`
