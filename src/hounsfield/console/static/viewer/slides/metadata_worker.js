// Reads the data sets of a series, and takes from those of slides what is said of each of very many frames.

const PER_FRAME = "52009230"
const SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
const FEW = 1000

self.addEventListener("message", ({ data }) => {
  let datasets = null
  try {
    datasets = JSON.parse(new TextDecoder().decode(data))
    for (const dataset of datasets) takePlaces(dataset)
  } catch {
    datasets = null
  }
  self.postMessage(datasets)
})

const first = (item, tag) => item?.[tag]?.Value?.[0]

// Puts columns, rows, heights and optical paths of frames into arrays; of few frames everything stays.
function takePlaces(dataset) {
  const items = dataset[PER_FRAME]?.Value ?? []
  if (items.length <= FEW || first(dataset, "00080016") !== SLIDE) return
  const places = { columns: new Float64Array(items.length), rows: new Float64Array(items.length), heights: new Float64Array(items.length), paths: new Int32Array(items.length), names: [] }
  const known = new Map()
  for (const [index, item] of items.entries()) {
    const place = first(item, "0048021A")
    places.columns[index] = Number(first(place, "0048021E") ?? NaN)
    places.rows[index] = Number(first(place, "0048021F") ?? NaN)
    places.heights[index] = Number(first(place, "0040074A") ?? 0)
    const name = String(first(first(item, "00480207"), "00480106") ?? "")
    if (!known.has(name)) known.set(name, places.names.push(name) - 1)
    places.paths[index] = known.get(name)
  }
  delete dataset[PER_FRAME]
  dataset.framePlaces = places
}
