// What the main header of a JPEG 2000 codestream (ISO/IEC 15444-1 annex A) says, and where its resolutions end.

const SOC = 0xff4f
const SIZ = 0xff51
const COD = 0xff52
const TLM = 0xff55
const SOT = 0xff90

// Returns null as long as the bytes end before the first tile-part; throws where they are no codestream.
export function readCodestream(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.byteLength < 2) return null
  if (view.getUint16(0) !== SOC) throw new Error("not a JPEG 2000 codestream")
  const found = { width: 0, height: 0, components: 0, bits: 0, signed: false, levels: 0, transformed: false, resolutionEnds: null }
  const parts = []
  let at = 2
  while (at + 4 <= view.byteLength) {
    const marker = view.getUint16(at)
    if (marker === SOT) {
      found.resolutionEnds = resolutionEnds(parts, at, found.levels)
      return found
    }
    const length = view.getUint16(at + 2)
    if (at + 2 + length > view.byteLength) return null
    if (marker === SIZ) readSize(view, at, found)
    else if (marker === COD) {
      found.transformed = view.getUint8(at + 8) === 1
      found.levels = view.getUint8(at + 9)
    } else if (marker === TLM) readTilePartLengths(view, at, length, parts)
    at += 2 + length
  }
  return null
}

function readSize(view, at, found) {
  found.width = view.getUint32(at + 6) - view.getUint32(at + 14)
  found.height = view.getUint32(at + 10) - view.getUint32(at + 18)
  found.components = view.getUint16(at + 38)
  const depth = view.getUint8(at + 40)
  found.bits = (depth & 0x7f) + 1
  found.signed = (depth & 0x80) !== 0
}

function readTilePartLengths(view, at, length, parts) {
  const sizes = view.getUint8(at + 5)
  const tileBytes = (sizes >> 4) & 3
  const lengthBytes = sizes & 0x40 ? 4 : 2
  for (let entry = at + 6; entry + tileBytes + lengthBytes <= at + 2 + length; entry += tileBytes + lengthBytes) {
    const place = entry + tileBytes
    parts.push(lengthBytes === 4 ? view.getUint32(place) : view.getUint16(place))
  }
}

// The byte after each resolution, smallest first; null where tile-parts are not one a resolution.
function resolutionEnds(parts, headerEnd, levels) {
  if (parts.length !== levels + 1) return null
  let end = headerEnd
  return parts.map((length) => (end += length))
}

// Whether OpenJPH's WebAssembly build gives the samples of such a codestream as they are.
export function isDecodable(codestream) {
  if (codestream.signed && codestream.bits <= 8) return false // negative values would become 0
  if (codestream.components === 3 && !codestream.transformed) return false // components would be scrambled
  return codestream.bits <= 16 && (codestream.components === 1 || codestream.components === 3)
}
