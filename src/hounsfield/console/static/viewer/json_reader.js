// Reads an answer in JSON as far as a tab can hold it: a file may say something of each of very many frames.

const MOST_BYTES = 256 * 1024 * 1024

export async function readJson(answer, most = MOST_BYTES) {
  const reader = answer.body.getReader()
  const parts = []
  let size = 0
  for (;;) {
    const { done, value } = await reader.read().catch(() => { throw new Error("The connection was lost while the series was read. Open it again.") })
    if (done) break
    size += value.length
    if (size > most) {
      reader.cancel()
      throw new Error(`The metadata of this series has more than ${Math.round(most / 2 ** 20)} MiB, which this browser cannot hold.`)
    }
    parts.push(value)
  }
  return JSON.parse(await new Blob(parts).text())
}
