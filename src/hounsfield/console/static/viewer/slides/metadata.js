// The data sets of a series of slides. A sparse slide says of each of its frames where it lies, a hundred thousand times:
// that is read in a thread of its own, which gives the places in a few arrays and then ends, with all the rest.

// Resolves to the data sets of an answer.
export async function readDatasets(answer) {
  const bytes = await answer.arrayBuffer()
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("metadata_worker.js", import.meta.url))
    const end = (settle, what) => { worker.terminate(); settle(what) }
    const fail = () => end(reject, new Error("The data sets of the slide cannot be read."))
    worker.addEventListener("message", ({ data }) => (data ? end(resolve, data) : fail()))
    worker.addEventListener("error", fail)
    worker.postMessage(bytes, [bytes])
  })
}
