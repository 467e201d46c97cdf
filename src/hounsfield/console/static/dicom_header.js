// Looks at the first bytes of a file: whether it is DICOM (PS3.10 section 7.1), and which instance it says it is.
const HEAD_BYTES = 4096
const META_START = 132
const LONG_VRS = new Set(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"])
const IMPLICIT = "1.2.840.10008.1.2"
const BIG_ENDIAN = "1.2.840.10008.1.2.2"
const DEFLATED = "1.2.840.10008.1.2.1.99"
const DIRECTORY = "1.2.840.10008.1.3.10"

// Gives kind ("dicom", "other", "directory" or "empty") and uid, the SOP Instance UID or "". Throws where it cannot be read.
export async function readHeader(file) {
  if (file.size === 0) return { kind: "empty", uid: "" }
  const view = new DataView(await file.slice(0, HEAD_BYTES).arrayBuffer())
  if (view.byteLength < META_START || text(view, 128, 4) !== "DICM") return { kind: "other", uid: "" }
  let sopClass = "", uid = "", syntax = "", at = META_START
  for (const element of elements(view, META_START, { implicit: false, little: true })) {
    if (element.group !== 2) break
    if (element.number === 0x0002) sopClass = element.value()
    if (element.number === 0x0003) uid = element.value()
    if (element.number === 0x0010) syntax = element.value()
    at = element.end
  }
  if (sopClass === DIRECTORY) return { kind: "directory", uid }
  if (syntax !== DEFLATED) {
    for (const element of elements(view, at, { implicit: syntax === IMPLICIT, little: syntax !== BIG_ENDIAN })) {
      if (element.group > 8 || (element.group === 8 && element.number > 0x0018)) break
      if (element.group === 8 && element.number === 0x0018) uid = element.value() || uid
    }
  }
  return { kind: "dicom", uid }
}

// The elements that are whole in the bytes, in their order; it ends at the first that is not.
function* elements(view, start, { implicit, little }) {
  let at = start
  while (at + 8 <= view.byteLength) {
    const group = view.getUint16(at, little), number = view.getUint16(at + 2, little)
    let length, from
    if (implicit) {
      length = view.getUint32(at + 4, little)
      from = at + 8
    } else if (LONG_VRS.has(text(view, at + 4, 2))) {
      if (at + 12 > view.byteLength) return
      length = view.getUint32(at + 8, little)
      from = at + 12
    } else {
      length = view.getUint16(at + 6, little)
      from = at + 8
    }
    if (from + length > view.byteLength) return
    const end = from + length
    yield { group, number, end, value: () => text(view, from, length).replace(/[\0 ]+$/, "") }
    at = end
  }
}

function text(view, at, length) {
  let found = ""
  for (let index = 0; index < length; index += 1) found += String.fromCharCode(view.getUint8(at + index))
  return found
}
