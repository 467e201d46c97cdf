// The files that somebody dropped or chose, those of folders too, one after another: {file, path}.

// Folders and files of a drop; to be called while the event is handled, since they are gone afterwards.
export function droppedFiles(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile())
  return walk(entries.filter(Boolean))
}

// Files of an input by their paths below the folder that was chosen, in the order of people: 2 before 10.
export function inputFiles(input) {
  const order = new Intl.Collator(undefined, { numeric: true })
  const chosen = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }))
  return chosen.sort((one, other) => order.compare(one.path, other.path))
}

async function* walk(entries) {
  for (const entry of entries) {
    if (entry instanceof File) yield { file: entry, path: entry.name }
    else if (entry.isFile) yield await fileOf(entry)
    else {
      const reader = entry.createReader()
      try {
        // A reader gives some entries at a time, and none at the end.
        for (let some = await read(reader); some.length; some = await read(reader)) yield* walk(some)
      } catch (error) {
        yield { file: null, path: pathOf(entry), error }
      }
    }
  }
}

const pathOf = (entry) => entry.fullPath.replace(/^\//, "")
const read = (reader) => new Promise((resolve, reject) => { reader.readEntries(resolve, reject) })
const fileOf = (entry) => new Promise((resolve) => {
  entry.file((file) => resolve({ file, path: pathOf(entry) }), (error) => resolve({ file: null, path: pathOf(entry), error }))
})
