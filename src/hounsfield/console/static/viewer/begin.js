// Begins, while the modules of the viewer are still on their way, what the first image waits for: the data sets of the first
// series, and a decoder, whose program takes a while to be made ready. The viewer takes both over, or begins them itself.
{
  const { src, dataset } = document.currentScript
  const begun = window.viewerBegun = { path: dataset.metadata, answer: null, decoder: null }
  if (begun.path) {
    begun.answer = fetch(begun.path, { headers: { Accept: "application/dicom+json" } })
    begun.answer.catch(() => { /* whoever takes it over says so */ })
  }
  begun.decoder = new Worker(new URL("decode_worker.js", src))
  begun.decoder.addEventListener("error", () => { begun.decoder = null })
}
