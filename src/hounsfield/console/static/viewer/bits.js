// Bits within bytes.

// Samples of 0 and 1 of bits that follow each other, the lowest of a byte first (PS3.5 section 8.1.1).
export function unpackBits(bytes, count, start = 0) {
  const samples = new Uint8Array(count)
  for (let at = 0, bit = start; at < count; at += 1, bit += 1) samples[at] = (bytes[bit >>> 3] >>> (bit & 7)) & 1
  return samples
}
