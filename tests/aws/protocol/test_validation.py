"""Every constraint of every operation's input, broken one at a time."""

import copy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.patterns import matcher
from support.requests.shape_places import dotted, places, sized, with_value
from support.requests.shape_samples import MODEL, OPERATIONS, sample, sample_of, sent

MARK = "Doe^John^Secret"


def bad_values(shape):
    """Values of the right type that break one constraint, with the text that must be told."""
    low, high, pattern, enum = (shape.metadata.get(key) for key in ("min", "max", "pattern", "enum"))
    measure = "value" if shape.type_name == "integer" else "length"
    if enum:
        yield MARK, f"Member must satisfy enum value set: [{', '.join(enum)}]"
    if pattern:
        yield f"{MARK} é", f"Member must satisfy regular expression pattern: {pattern}"
    if low:
        yield sized(shape, low - 1), f"Member must have {measure} greater than or equal to {low}"
    if high is not None:
        yield sized(shape, high + 1), f"Member must have {measure} less than or equal to {high}"


def refusals():
    for name in OPERATIONS:
        for path, shape, sensitive in places(MODEL.operation_model(name).input_shape):
            hidden = sensitive or shape.metadata.get("max", 0) > 256
            for number, broken in enumerate(bad_values(shape) if path else ()):
                label = MODEL.operation_model(name).input_shape.members[path[0]].serialization.get("location") == "uri"
                if not (label and broken[0] == ""):  # no path then
                    yield pytest.param(name, path, broken, hidden, id=f"{name}-{dotted(path)}-{number}")


def requirements():
    for name in OPERATIONS:
        for path, shape, _ in places(MODEL.operation_model(name).input_shape):
            for member in shape.required_members if shape.type_name == "structure" else ():
                if shape.members[member].serialization.get("location") != "uri":
                    yield pytest.param(name, (*path, member), id=f"{name}-{dotted((*path, member))}")


def unions():
    for name in OPERATIONS:
        for path, shape, _ in places(MODEL.operation_model(name).input_shape):
            if getattr(shape, "is_tagged_union", False):
                yield pytest.param(name, path, shape, id=f"{name}-{dotted(path)}")


def texts_of_operations():
    for name in OPERATIONS:
        for path, shape, _ in places(MODEL.operation_model(name).input_shape):
            if shape.type_name in ("string", "map"):
                yield pytest.param(name, path, shape, id=f"{name}-{dotted(path)}")


@pytest.mark.parametrize(("name", "path", "shape"), list(texts_of_operations()))
def test_no_text_has_a_zero_character(read, name, path, shape):
    """PostgreSQL has no such texts: whatever member it is, the request is refused before anybody asks the database."""
    values = [f"a{chr(0)}b"] if shape.type_name == "string" else [{f"k{chr(0)}": "v"}, {"k": f"v{chr(0)}"}]
    for value in values:
        with pytest.raises(ValidationException) as refused:
            read(sent(name, with_value(name, path, value)))
        assert "\0" not in refused.value.message


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_sample_with_all_members_is_valid(read, name):
    assert read(sent(name, sample(name)))[1] == sample(name)


@pytest.mark.parametrize(("name", "path", "broken", "hidden"), [*refusals()])
def test_a_broken_constraint_is_told_with_its_member(read, name, path, broken, hidden):
    value, text = broken
    with pytest.raises(ValidationException) as caught:
        read(sent(name, with_value(name, path, value)))
    message = caught.value.message
    assert re.match(r"[1-9]\d* validation errors? detected: Value ", message)
    assert f"at '{dotted(path)}' failed to satisfy constraint: {text}" in message
    if hidden:
        assert MARK not in message
    elif isinstance(value, str) and MARK in value:
        assert f"Value '{value}' at '{dotted(path)}'" in message


@pytest.mark.parametrize(("name", "path"), [*requirements()])
def test_a_missing_member_is_told(read, name, path):
    request = sent(name, with_value(name, path, None))
    if len(path) == 1 and path[0] == MODEL.operation_model(name).input_shape.serialization.get("payload"):
        request.body = b""  # botocore sends {} for an absent payload
    with pytest.raises(ValidationException) as caught:
        read(request)
    assert caught.value.message == (
        f"1 validation error detected: Value null at '{dotted(path)}' failed to satisfy constraint: Member must not be null"
    )


@pytest.mark.parametrize(("name", "path", "shape"), [*unions()])
def test_a_union_has_exactly_one_member(read, name, path, shape):
    everything = {member: sample_of(inner) for member, inner in shape.members.items()}
    for value in [{}, everything] if len(everything) > 1 else [{}]:
        with pytest.raises(ValidationException, match="Member must have exactly one of these members") as caught:
            read(sent(name, with_value(name, path, value)))
        assert f"Value at '{dotted(path)}' failed" in caught.value.message
        assert ", ".join(shape.members) in caught.value.message


def test_all_violations_are_told_at_once(read):
    wrong = {"datastoreName": "", "losslessStorageFormat": "PNG", "tags": {"aws:x": "v" * 257}}
    with pytest.raises(ValidationException) as caught:
        read(sent("CreateDatastore", wrong))
    assert caught.value.message.startswith(
        "6 validation errors detected: Value '' at 'datastoreName' failed to satisfy"
    )
    assert caught.value.message.count("failed to satisfy constraint") == 6
    assert "Value null at 'clientToken' failed" in caught.value.message
    assert (
        "Value at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must"
        in caught.value.message
    )
    assert (
        "Value at 'tags' failed to satisfy constraint: Map value must satisfy constraint: [Member must"
        in caught.value.message
    )


def test_a_flood_of_violations_is_counted_and_cut(read):
    job = copy.deepcopy(sample("StartDICOMImportJob"))
    mapping = {"studyInstanceUID": "x", "metadataFilePath": " "}
    job["importConfiguration"] = {"dicomJsonMetadataImportConfiguration": {"dicomMetadataMappings": [mapping] * 1000}}
    with pytest.raises(ValidationException, match=r"^2000 validation errors detected: ") as caught:
        read(sent("StartDICOMImportJob", job))
    assert len(caught.value.message) < 20_000


def test_a_long_value_is_cut_in_the_message(read):
    with pytest.raises(ValidationException) as caught:
        read(sent("CreateDatastore", {"clientToken": "!" * 100_000}))
    assert len(caught.value.message) < 1000


def test_tag_keys_follow_the_odd_range_of_the_pattern(read):
    good = {"plus+minus-comma,colon:slash/less<equals=dot.": "any text é ✓", "0": ""}
    assert read(sent("CreateDatastore", {"clientToken": "t", "tags": good}))[1]["tags"] == good
    for bad in ["aws:mine", "blank key", "under@at", ""]:
        with pytest.raises(ValidationException, match="Map keys"):
            read(sent("CreateDatastore", {"clientToken": "t", "tags": {bad: "v"}}))


FILE_PATH = r"[a-zA-Z0-9!-~]+([a-zA-Z0-9!-~ ]*[a-zA-Z0-9!-~]+)*"


@given(st.text("aZ ~!/é\n", max_size=12))
def test_the_pattern_of_file_paths_means_the_same_in_its_quick_form(text):
    assert matcher(FILE_PATH)(text) is (re.fullmatch(FILE_PATH, text) is not None)


def test_no_pattern_takes_long():
    # Without the limit each would take longer than the time limit of the whole test.
    assert not matcher(FILE_PATH)("a" * 1023 + "é")
    assert not matcher("(a+a+)+b")("a" * 5000)


def test_patterns_are_read_as_java_reads_them():
    assert not matcher(r"\d+")("٣")
    assert not matcher(r"\w+")("é")
    assert not matcher("[0-9a-z]{32}")("0" * 32 + "\n")
    assert matcher(r"\p{ASCII}{0,8192}")("\x00\x7f")
    assert not matcher(r"\p{ASCII}{0,8192}")("\x80")
    assert matcher(r"[\w -:`]+")("INVALID_REQUEST:  Series of `x`, 12/34")
