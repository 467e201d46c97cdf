"""What is given out, in public decoders: every kind of sample and odd size is read right, refused, or named in the docs."""

from __future__ import annotations

from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame

from support.clients.dicomweb import part10, root, session, store
from support.decoders.public import WORDS, Decoders, Task, readings
from support.doc_pages import Page, codes
from support.files.synthetic import slice_of, uid
from support.imaging.imports import document, instances
from support.servers import ServerProcess, active_datastore

EXPLICIT = "1.2.840.10008.1.2.1"
HTJ2K, ANY_HTJ2K, J2K = (f"1.2.840.10008.1.2.4.{part}" for part in ("202", "201", "90"))
PAGE = Page.of("docs/reference/compatibility.md")
SIZES = ((1, 1), (1, 13), (37, 1), (65, 97))


class Kind(NamedTuple):
    """A kind of samples: their type, Bits Stored, samples of a pixel, and what else their data set says."""

    dtype: str
    bits: int
    samples: int = 1
    interpretation: str = "MONOCHROME2"
    beyond: int = 0


KINDS = {
    "8 bits": Kind("u1", 8),
    "8 bits, signed": Kind("i1", 8),
    "9 bits": Kind("<u2", 9),
    "12 bits": Kind("<u2", 12),
    "12 bits, signed": Kind("<i2", 12),
    "12 bits, MONOCHROME1": Kind("<u2", 12, 1, "MONOCHROME1"),
    "12 bits below an overlay": Kind("<u2", 12, beyond=1 << 15),
    "15 bits, signed": Kind("<i2", 15),
    "16 bits": Kind("<u2", 16),
    "16 bits, signed": Kind("<i2", 16),
    "palette indices": Kind("u1", 8, 1, "PALETTE COLOR"),
    "RGB": Kind("u1", 8, 3, "RGB"),
    "RGB of 16 bits": Kind("<u2", 16, 3, "RGB"),
    "YBR_FULL": Kind("u1", 8, 3, "YBR_FULL"),
    "32 bits": Kind("<u4", 32),
    "32 bits, signed": Kind("<i4", 32),
    "RGB of 32 bits": Kind("<u4", 32, 3, "RGB"),
}


def samples_of(kind: Kind, size: tuple[int, int]) -> NDArray[Any]:
    """Return smooth samples with some noise, and among them the smallest and the largest there can be."""
    rng = np.random.default_rng(size)
    rows, columns = np.indices(size)
    shape = size if kind.samples == 1 else (*size, kind.samples)
    wave = (np.sin(rows / 9) * np.cos(columns / 7) * 0.4 + 0.5)[..., None] * np.linspace(1, 0.5, kind.samples)
    values = (wave.reshape(shape) * 0.98 + rng.random(shape) * 0.02) * (2.0**kind.bits - 1)
    values.flat[-1] = 2.0**kind.bits - 1
    if values.size > kind.samples:
        values.flat[0] = 0
    whole = values.astype(np.int64) - (1 << kind.bits - 1 if "i" in kind.dtype else 0)
    beyond = kind.beyond * (rng.random(shape) < 0.5)
    beyond.flat[-1] = kind.beyond
    return np.asarray(whole | beyond).astype(kind.dtype)


def dataset_of(number: int, kind: Kind, size: tuple[int, int]) -> Dataset:
    pixels = samples_of(kind, size)
    dataset = slice_of(number=number, pixels=pixels, PhotometricInterpretation=kind.interpretation)
    if "NumberOfFrames" in dataset:
        del dataset.NumberOfFrames
    dataset.Rows, dataset.Columns = size
    dataset.SamplesPerPixel = kind.samples
    dataset.BitsStored, dataset.HighBit = kind.bits, kind.bits - 1
    if kind.samples > 1:
        dataset.PlanarConfiguration = 0
    if kind.interpretation == "PALETTE COLOR":
        for colour in ("Red", "Green", "Blue"):
            setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
            setattr(dataset, f"{colour}PaletteColorLookupTableData", np.arange(256, dtype="<u2").tobytes())
    return dataset


CASES = [(name, size) for name in KINDS for size in SIZES]


@pytest.fixture(scope="module")
def decoders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Decoders:
    modules = Path(request.config.cache.mkdir(f"decoders-{Decoders.lock()}"))
    return Decoders.install(tmp_path_factory.mktemp("decoders") / "environment", modules)


def tasks_of(server: ServerProcess, client: Any, datastore_id: str) -> list[Task]:
    """Retrieve frames and files of all cases in every form that they are offered in."""
    (entry,) = client.search_image_sets(datastoreId=datastore_id)["imageSetsMetadataSummaries"]
    image_set = entry["imageSetId"]
    frame_ids = {
        sop: instance["ImageFrames"][0]["ID"] for sop, instance in instances(document(client, datastore_id, image_set))
    }
    web, tasks = session(server), []
    for number, (name, size) in enumerate(CASES, 1):
        sop = uid(1, 1, number)
        url = f"{root(server, datastore_id)}/studies/{uid(1)}/series/{uid(1, 1)}/instances/{sop}"
        case = f"{name}/{size[0]}x{size[1]}"
        answer = client.get_image_frame(
            datastoreId=datastore_id, imageSetId=image_set, imageFrameInformation={"imageFrameId": frame_ids[sop]}
        )
        tasks.append(Task(f"{case}/JPH", "boxed", answer["imageFrameBlob"].read()))
        for form, syntax, shape in (("frame", "*", "frame"), ("frame .90", J2K, "jpeg2000")):
            got = web.get(f"{url}/frames/1", headers={"Accept": f"application/octet-stream; transfer-syntax={syntax}"})
            assert got.status_code == (406 if "32 bits" in name and syntax == J2K else 200), got.text
            if got.ok:
                tasks.append(Task(f"{case}/{form}", shape, got.content))
        for form, syntax in (("file .1", EXPLICIT), ("file .202", HTJ2K), ("file .201", ANY_HTJ2K), ("file .90", J2K)):
            got = web.get(url, headers={"Accept": f"application/dicom; transfer-syntax={syntax}"})
            assert got.status_code == (406 if "32 bits" in name and syntax != EXPLICIT else 200), got.text
            if got.ok:
                tasks.append(Task(f"{case}/{form}", "file", got.content))
            if got.ok and syntax != EXPLICIT:
                frame = get_frame(pydicom.dcmread(BytesIO(got.content)).PixelData, 0, number_of_frames=1)
                tasks.append(Task(f"{case}/{form}", "jpeg2000" if syntax == J2K else "frame", frame))
    return tasks


def test_every_cell_is_exact_refused_or_named(
    server: ServerProcess, client: Any, decoders: Decoders, tmp_path: Path
) -> None:
    datastore_id = active_datastore(client)
    datasets = [dataset_of(number, KINDS[name], size) for number, (name, size) in enumerate(CASES, 1)]
    assert store(server, datastore_id, [part10(dataset) for dataset in datasets]).status_code == 200
    true = {f"{name}/{size[0]}x{size[1]}": samples_of(KINDS[name], size) for name, size in CASES}
    cells: dict[tuple[str, str, str], set[str]] = {}
    for outcome in decoders.decode(tasks_of(server, client, datastore_id), tmp_path):
        case, _, form = outcome.name.rpartition("/")
        name = case.partition("/")[0]
        words = readings(outcome.samples, true[case], KINDS[name].bits)
        cell = name, form, outcome.decoder
        cells[cell] = cells.get(cell, set(WORDS)) & words
    found = {cell: next(word for word in WORDS if word in words) for cell, words in cells.items()}
    assert len(found) > 500
    assert {cell: word for cell, word in found.items() if word != "exact"} == named()


def named() -> dict[tuple[str, str, str], str]:
    """Return what the docs say of cells that are not exact."""
    told: dict[tuple[str, str, str], str] = {}
    for row in PAGE.rows("samples", "given as", "decoder", "what comes out"):
        (word,) = codes(row["what comes out"])
        for cell in product(codes(row["samples"]), codes(row["given as"]), codes(row["decoder"])):
            assert cell not in told, cell
            told[cell] = word
    return told


def test_every_word_is_explained() -> None:
    assert {code for row in PAGE.rows("word", "meaning") for code in codes(row["word"])} == set(WORDS)
