"""Decodes frames and files with public Python packages: ``python decode.py TASKS``, a JSON array of {name, form, path}.

Prints one JSON object a line for each task and decoder: the sample type and where the samples are, or an error.
"""

import json
import sys
import warnings
from pathlib import Path

import gdcm
import numpy as np
import openjpeg
import pydicom
import SimpleITK
from PIL import Image

warnings.simplefilter("ignore")


def by_pydicom(path):
    return pydicom.pixels.pixel_array(pydicom.dcmread(path), raw=True)


def by_openjpeg(path):
    return openjpeg.decode(path.read_bytes())


def by_pillow(path):
    with Image.open(path) as image:
        return np.asarray(image)


def by_gdcm(path):
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise ValueError("not read")
    image = reader.GetImage()
    pixels = image.GetPixelFormat()
    buffer = image.GetBuffer()
    if buffer is None:
        raise ValueError("not decoded")
    kind = "i" if pixels.GetPixelRepresentation() else "u"
    samples = np.frombuffer(buffer.encode("utf-8", "surrogateescape"), f"{kind}{pixels.GetBitsAllocated() // 8}")
    columns, rows = image.GetDimensions()[:2]
    if image.GetPlanarConfiguration() and pixels.GetSamplesPerPixel() > 1:
        return np.moveaxis(samples.reshape(pixels.GetSamplesPerPixel(), rows, columns), 0, -1)
    return samples.reshape(rows, columns, pixels.GetSamplesPerPixel())


def by_simpleitk(path):
    samples = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    return samples[0]


DECODERS = {
    "file": {"pydicom": by_pydicom, "GDCM": by_gdcm, "SimpleITK": by_simpleitk},
    "frame": {"pylibjpeg-openjpeg": by_openjpeg},
    "boxed": {"pylibjpeg-openjpeg": by_openjpeg, "Pillow": by_pillow},
    "jpeg2000": {"pylibjpeg-openjpeg": by_openjpeg, "Pillow": by_pillow},
}


def main():
    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    SimpleITK.ProcessObject.GlobalWarningDisplayOff()
    for task in json.loads(Path(sys.argv[1]).read_text()):
        path = Path(task["path"])
        for decoder, decode in DECODERS[task["form"]].items():
            try:
                samples = np.ascontiguousarray(decode(path))
                where = f"{path}.{decoder}"
                Path(where).write_bytes(samples.tobytes())
                told = {"type": samples.dtype.str[1:], "shape": list(samples.shape), "samples": where}
            except Exception as problem:
                told = {"error": f"{type(problem).__name__}: {problem}"}
            print(json.dumps({"name": task["name"], "decoder": decoder, **told}))


main()
