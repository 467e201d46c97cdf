"""What requests say in paths, queries, headers and JSON: understood, or refused with the error that is meant for it."""

from __future__ import annotations

import base64
import json
from typing import Any, cast
from urllib.parse import quote

import orjson
import pytest
from hypothesis import strategies as st

from hounsfield.api.dicomweb.conditional_requests import asked_range, unchanged
from hounsfield.api.dicomweb.content_negotiation import accepted, content_type
from hounsfield.api.dicomweb.qido_parameters import parse_search
from hounsfield.api.dicomweb.rendering_parameters import rendered_appearance, thumbnail_appearance, warnings
from hounsfield.api.dicomweb.request import Call, parse_query
from hounsfield.api.dicomweb.wado_frames import frame_numbers
from hounsfield.aws.protocol.errors import AwsError
from hounsfield.aws.protocol.pagination import PageTokens
from hounsfield.aws.protocol.parser import parse_request
from hounsfield.imaging.errors import InvalidRequestError
from hounsfield.imaging.image_set_access import UNLIMITED
from hounsfield.imaging.imagesets.edit_document import read_request
from hounsfield.imaging.search.search_keys import SearchLevel
from hounsfield.pixels.rendering.render import RenderedMediaType
from support.fuzzing import damaged, fuzz
from support.requests.route_tables import find_operation, route_table
from support.requests.shape_samples import OPERATIONS, sample, sent

REFUSED = (AwsError, InvalidRequestError)

digits = st.one_of(st.integers(0, 10**30).map(str), st.just("9" * 5000), st.just("-1"), st.just("٣"))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
odd = st.one_of(
    texts,
    digits,
    st.sampled_from(["*", "?", "20240101-", "-", "\\", "1.2,1.3", "^", "=", "\0", "NaN", "1e999", "%", "a,b"]),
)


def refused_well(error: Exception) -> None:
    """Check that a refusal is the client's fault, and says something short in one line."""
    message = str(error)
    assert message
    assert len(message) < 2_000
    if isinstance(error, AwsError):
        assert 400 <= error.status < 500


def call_of(query: str, headers: dict[str, str], **labels: str) -> Call:
    return Call(
        context=cast("Any", None),
        datastore_id="0" * 32,
        labels=labels,
        query=parse_query(query.encode("ascii", "replace")),
        headers=headers,
        base="http://x/datastore/0",
        threads=cast("Any", None),
        access=UNLIMITED,
    )


names = st.sampled_from(
    ["PatientName", "PatientID", "StudyDate", "StudyTime", "00080020", "ModalitiesInStudy", "includefield", "limit", "offset",
     "fuzzymatching", "StudyInstanceUID", "00091001", "00090010", "accept", "window", "viewport", "quality", "annotation",
     "iccprofile", "imageSetId", "NumberOfStudyRelatedInstances", "AccessionNumber", "00081115.00080060"]
)  # fmt: skip
queries = st.lists(st.tuples(st.one_of(names, names, names, odd), odd), max_size=5).map(
    lambda pairs: "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
)


@fuzz(queries, st.sampled_from(list(SearchLevel)), examples=250)
def test_searches(query: str, level: SearchLevel) -> None:
    try:
        parse_search(call_of(query, {}), level)
    except REFUSED as error:
        refused_well(error)


@fuzz(queries, examples=200)
def test_pictures(query: str) -> None:
    for read in (rendered_appearance, thumbnail_appearance):
        try:
            read(call_of(query, {}), RenderedMediaType.JPEG)
            warnings(call_of(query, {}))
        except REFUSED as error:
            refused_well(error)


@fuzz(st.binary(max_size=60), st.sampled_from(["GET", "POST", "DELETE", "OPTIONS", "HEAD", "BREW"]), examples=200)
def test_paths(path: bytes, method: str) -> None:
    for raw in (b"/datastore/" + path, b"/" + path, b"/datastore/0/studies/" + path, b"/tags/" + path):
        match = route_table().find(method, raw)
        if match.route is None:
            refused_well(match.error())
            continue
        try:
            assert match.api.decode_labels(match.labels).keys() == match.labels.keys()
        except AwsError as error:
            refused_well(error)


media = st.lists(
    st.one_of(
        st.sampled_from(
            ["multipart/related", "application/dicom", "*/*", ";", ",", "type=", '"application/dicom"', "q=", "0.5",
             "boundary=", "=", " ", "transfer-syntax=*", '"', "\\", "image/jpeg"]
        ),
        texts,
    ),
    max_size=10,
).map("".join)  # fmt: skip


@fuzz(media, st.lists(media, max_size=2), examples=200)
def test_media_types(header: str, query: list[str]) -> None:
    for read in (lambda: accepted(header, query), lambda: accepted(header, ()), lambda: content_type(header)):
        try:
            read()
        except AwsError as error:
            refused_well(error)


@fuzz(odd, odd, st.integers(0, 1000), examples=150)
def test_ranges_and_tags(one: str, other: str, size: int) -> None:
    for given in (f"bytes={one}-{other}", f"bytes=-{one}", f"bytes={one}-", one):
        try:
            part = asked_range({"range": given}, size, "tag")
        except AwsError as error:
            assert error.status == 416  # noqa: PT017
        else:
            assert part is None or 0 <= part.start < part.end <= part.size == size
    unchanged({"if-none-match": one, "if-modified-since": other}, '"tag"')


@fuzz(st.one_of(odd, st.lists(digits, max_size=4).map(",".join)), examples=100)
def test_frame_lists(text: str) -> None:
    try:
        assert all(0 <= number < 10**9 for number in frame_numbers(text))
    except AwsError as error:
        refused_well(error)


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**65), 2**65), st.floats(allow_nan=False, allow_infinity=False), odd
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(odd, inner, max_size=3)),
    max_leaves=8,
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """A request body of some operation, with values in it that do not belong there, or broken as text."""
    operation = draw(st.sampled_from(OPERATIONS))
    body = sent(operation, sample(operation)).body
    match draw(st.integers(0, 2)):
        case 0:
            return operation, draw(damaged(st.just(body))) if body else draw(st.binary(max_size=60))
        case 1:
            return operation, json.dumps(draw(json_values)).encode()
        case _:
            document = json.loads(body or b"{}")
            _put(draw, document)
            return operation, json.dumps(document).encode()


def _put(draw: st.DrawFn, document: Any) -> None:
    """Put something else into a place of a document."""
    while True:
        keys = list(document) if isinstance(document, dict) else list(range(len(document)))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        if not isinstance(document[key], dict | list) or not document[key] or draw(st.booleans()):
            document[key] = draw(json_values)
            return
        document = document[key]


@fuzz(bodies(), queries, examples=250)
def test_bodies_of_operations(body: tuple[str, bytes], query: str) -> None:
    operation, content = body
    request = sent(operation, sample(operation))
    found, labels = find_operation(request.method, request.raw_path)
    try:
        parse_request(found, labels, query.encode("ascii", "replace"), request.headers, content)
    except AwsError as error:
        refused_well(error)


EDIT = b'{"SchemaVersion":1.1,"Patient":{"DICOM":{"PatientName":"A^B"}},"Study":{"Series":{"1.2":{"Instances":{"1.3":{}}}}}}'


@fuzz(
    st.one_of(damaged(st.just(EDIT)), json_values.map(lambda value: json.dumps(value).encode())),
    st.booleans(),
    examples=150,
)
def test_edits(blob: bytes, removes: bool) -> None:
    try:
        read_request(None if removes else blob, blob if removes else None)
    except InvalidRequestError as error:
        refused_well(error)


TOKENS = PageTokens(b"k" * 32)


@fuzz(st.one_of(st.binary(max_size=80).map(lambda data: base64.urlsafe_b64encode(data).decode()), odd), examples=100)
def test_page_tokens_that_were_made_up(token: str) -> None:
    with pytest.raises(AwsError) as refused:
        TOKENS.open(token, "context")
    assert refused.value.status == 400


def test_deep_json_is_refused_everywhere() -> None:
    for deep in (b"[" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000):
        with pytest.raises(InvalidRequestError):
            read_request(deep, None)
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(deep)
