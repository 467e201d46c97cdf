// Large values of an attribute: in the metadata as Base64, or at an address of their own.

// Bytes of an element; null where it has none. `tell` is called with the share that is here.
export async function bytesOf(page, attribute, tell = () => {}) {
  if (attribute?.InlineBinary) return Uint8Array.from(atob(attribute.InlineBinary), (one) => one.charCodeAt(0))
  if (!attribute?.BulkDataURI) return null
  let answer
  try {
    answer = await fetch(addressOf(page, attribute.BulkDataURI), { headers: { Accept: "application/octet-stream" }, cache: "no-store" })
  } catch {
    throw new Error("The server cannot be reached.")
  }
  if (answer.status === 401) throw new Error("Your session has ended. Sign in again in another tab.")
  if (answer.status === 403) throw new Error("You may not see the content of this object.")
  if (!answer.ok) throw new Error(`The server does not give the content of this object (${answer.status}).`)
  const size = Number(answer.headers.get("content-length")) || 0
  const parts = []
  let received = 0
  const reader = answer.body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    parts.push(value)
    received += value.length
    if (size) tell(received / size)
  }
  if (size && received !== size) throw new Error("The connection ended before the whole content was here.")
  return new Uint8Array(await new Blob(parts).arrayBuffer())
}

// The address names the server as the API knows it; the browser asks over the console.
function addressOf(page, uri) {
  const path = new URL(uri, location.href).pathname
  const from = path.lastIndexOf("/studies/")
  if (from < 0) throw new Error("The content of this object lies at an address that is not of this server.")
  return page.base.slice(0, page.base.lastIndexOf("/studies/")) + path.slice(from)
}
