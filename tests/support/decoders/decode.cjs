// Decodes codestreams as Cornerstone and OHIF do: node decode.cjs TASKS, a JSON array of {name, form, path}.
//
// Prints one JSON object a line for each task and decoder: the sample type and where the samples are, or an error. A decoder
// that fails raises nothing, its buffer keeps what it had: the size that it tells is what shows it.

const fs = require("node:fs");
const OpenJPEG = require("@cornerstonejs/codec-openjpeg/wasmjs");
const OpenJPH = require("@cornerstonejs/codec-openjph");

const sampleType = ({ bitsPerSample, isSigned }) =>
  `${isSigned ? "i" : "u"}${bitsPerSample <= 8 ? 1 : bitsPerSample <= 16 ? 2 : 4}`;

function decode(Decoder, encoded) {
  const decoder = new Decoder();
  try {
    decoder.getEncodedBuffer(encoded.length).set(encoded);
    decoder.decode();
    const frame = decoder.getFrameInfo();
    if (!frame.width) throw new Error("no size");
    return { frame, samples: Buffer.from(decoder.getDecodedBuffer()) };
  } finally {
    decoder.delete();
  }
}

async function main() {
  const decoders = {
    "codec-openjph": (await OpenJPH()).HTJ2KDecoder,
    "codec-openjpeg": (await OpenJPEG()).J2KDecoder,
  };
  for (const { name, form, path } of JSON.parse(fs.readFileSync(process.argv[2]))) {
    if (form === "file") continue;
    for (const [decoder, Decoder] of Object.entries(decoders)) {
      if (decoder === "codec-openjph" && form === "jpeg2000") continue;
      let told;
      try {
        const { frame, samples } = decode(Decoder, fs.readFileSync(path));
        fs.writeFileSync(`${path}.${decoder}`, samples);
        const shape = [frame.height, frame.width, frame.componentCount];
        told = { type: sampleType(frame), shape, samples: `${path}.${decoder}` };
      } catch (problem) {
        told = { error: String(problem?.message ?? problem) };
      }
      console.log(JSON.stringify({ name, decoder, ...told }));
    }
  }
}

main();
