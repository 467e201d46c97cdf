"""Members of requests: what an operation takes, and the reader of its JSON body.

    body ─▶ JSON object, no key twice ─▶ each member of its form ─▶ parameters

Whatever is wrong is said in words: a member that is not known, one that is missing, a value of another type.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NoReturn, TypeAlias

from hounsfield.audit.cloudtrail_record import HIDDEN
from hounsfield.aws.protocol.errors import SerializationException, ValidationException
from hounsfield.aws.protocol.json_nesting import is_nested_deeper
from hounsfield.aws.protocol.model import Parameter, Parameters

MOST_BODY_BYTES: Final = 512 * 1024
"""Largest body; the longest policy with its blanks has room, however its characters are escaped."""
_MOST_NESTED: Final = 16
_TIME: Final = "2027-01-31T12:00:00Z"


class Form(StrEnum):
    """Forms of members, by the words that pages and messages have for them."""

    TEXT = "string"
    DOCUMENT = "JSON document as a string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXTS = "list of strings"
    TAGS = "list of tags, each with Key and Value"
    MOMENT = "time in ISO 8601"
    ENTRIES = "list of condition keys, each with ContextKeyName and ContextKeyValues"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a request.

    Attributes
    ----------
    name : str
        Its name.
    form : Form
        What it is.
    required : bool
        Whether it must be there.
    most : int
        Most characters of a string or of each string of a list, or largest integer.
    least : int
        Fewest characters of a string, or smallest integer.
    most_entries : int
        Longest list.
    choices : tuple of str
        All values that a string may have; empty for any.
    shown : bool
        Whether the audit trail shows its value, not only that it is there. Keys of objects and what is searched for may name
        patients.
    """

    name: str
    form: Form = Form.TEXT
    required: bool = False
    most: int = 256
    least: int = 1
    most_entries: int = 100
    choices: tuple[str, ...] = ()
    shown: bool = True


_Json: TypeAlias = object


def read_members(members: Sequence[Member], body: bytes) -> Parameters:
    """Read the parameters of a request.

    Parameters
    ----------
    members : sequence of Member
        What the operation takes.
    body : bytes
        A JSON object; nothing at all is one without members. A member that is null counts as absent.

    Returns
    -------
    dict
        Strings, integers and booleans as they are; lists of strings as lists, tags as a mapping from key to value, times as
        aware datetimes, condition keys as a list of mappings.

    Raises
    ------
    SerializationException
        The body is not a JSON object.
    ValidationException
        A member is unknown, missing, or not of its form.
    """
    document = _load(body) if body else {}
    known = {member.name: member for member in members}
    for name in document:
        if name not in known:
            taken = ", ".join(known) if known else "none"
            raise ValidationException(f"There is no member {_shown(name)}; the operation has {taken}.")
    parameters: Parameters = {}
    for member in members:
        value = document.get(member.name)
        if value is not None:
            parameters[member.name] = _READERS[member.form](member, value)
        elif member.required:
            raise ValidationException(f"{member.name} must be given: a {member.form}.")
    return parameters


def shown_members(members: Sequence[Member], parameters: Parameters) -> Mapping[str, object]:
    """Return parameters in the form in which a request has them, tags as a list again, as the audit trail may show them."""
    hidden = {member.name for member in members if not member.shown}
    return {name: HIDDEN if name in hidden else _sent(value) for name, value in parameters.items()}


def _sent(value: Parameter) -> object:
    return [{"Key": key, "Value": text} for key, text in value.items()] if isinstance(value, dict) else value


def _load(body: bytes) -> Mapping[str, _Json]:
    if is_nested_deeper(body, _MOST_NESTED):
        raise SerializationException(f"The body must nest arrays and objects at most {_MOST_NESTED} deep.")
    try:
        # Bytes alone could be UTF-16 too, in which no nesting was counted.
        document = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        # The message of the decoder may quote the text; the position alone cannot.
        message = f"The body must be a JSON object; it stops being JSON at line {error.lineno}, column {error.colno}."
        raise SerializationException(message) from None
    except UnicodeDecodeError as error:
        raise SerializationException(f"The body must be UTF-8; byte {error.start} is not.") from None
    except ValueError:
        raise SerializationException("The body has a number that is longer than any value.") from None
    if not isinstance(document, dict):
        raise SerializationException("The body must be a JSON object, such as {}.")
    _check_characters(document)
    return document


def _check_characters(document: Mapping[str, _Json]) -> None:
    """Refuse halves of characters, which JSON can escape: neither the database nor the audit trail can write them down."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise SerializationException("The body escapes half a character, a surrogate without the other.") from None


def _once(pairs: list[tuple[str, _Json]]) -> dict[str, _Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SerializationException(f"The body has {_shown(twice)} twice in one object.")
    return found


_NO_TEXT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of characters that no name has: controls, half characters, ends of lines. Joiners belong to words."""


def _no_constant(name: str) -> NoReturn:
    raise SerializationException(f"The body has {name}, which is not JSON.")


def _shown(text: str) -> str:
    return text if len(text) <= 64 and text.isprintable() else "with a name that cannot be shown"


def _text(member: Member, value: _Json, name: str = "") -> str:
    name = name or member.name
    if not isinstance(value, str):
        raise ValidationException(f"{name} must be a string.")
    if not member.least <= len(value) <= member.most:
        raise ValidationException(f"{name} must have {member.least} to {member.most} characters, not {len(value)}.")
    if any(unicodedata.category(sign) in _NO_TEXT for sign in value):
        raise ValidationException(f"{name} must have no control characters.")
    if member.choices and value not in member.choices:
        raise ValidationException(f"{name} must be one of {', '.join(member.choices)}.")
    return value


def _document(member: Member, value: _Json) -> str:
    if not isinstance(value, str):
        raise ValidationException(f"{member.name} must be a string that holds a JSON document.")
    return value


def _integer(member: Member, value: _Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValidationException(f"{member.name} must be an integer.")
    if not member.least <= value <= member.most:
        raise ValidationException(f"{member.name} must be {member.least} to {member.most}.")
    return value


def _boolean(member: Member, value: _Json) -> bool:
    if not isinstance(value, bool):
        raise ValidationException(f"{member.name} must be true or false.")
    return value


def _entries(member: Member, value: _Json) -> list[_Json]:
    if not isinstance(value, list):
        raise ValidationException(f"{member.name} must be a {member.form}.")
    if len(value) > member.most_entries:
        raise ValidationException(f"{member.name} must have {member.most_entries} entries at most, not {len(value)}.")
    return value


def _texts(member: Member, value: _Json) -> list[Parameter]:
    return [_text(member, entry, f"each entry of {member.name}") for entry in _entries(member, value)]


def _objects(member: Member, value: _Json, *keys: str) -> list[dict[str, _Json]]:
    found = []
    for entry in _entries(member, value):
        if not isinstance(entry, dict) or set(entry) != set(keys):
            raise ValidationException(f"Each entry of {member.name} must be an object with {' and '.join(keys)}.")
        found.append(entry)
    return found


def _tags(member: Member, value: _Json) -> Parameters:
    tags: Parameters = {}
    for entry in _objects(member, value, "Key", "Value"):
        key, text = entry["Key"], entry["Value"]
        if not isinstance(key, str) or not isinstance(text, str):
            raise ValidationException(f"Key and Value of {member.name} must be strings.")
        if key in tags:
            raise ValidationException(f"{member.name} has a key twice.")
        tags[key] = text
    return tags


def _moment(member: Member, value: _Json) -> datetime:
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
        # A time without its offset is one nobody can be sure of.
        moment = None if read is None or read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise ValidationException(f"{member.name} must be a time with its offset, such as {_TIME}.")
    return moment


def _context_entries(member: Member, value: _Json) -> list[Parameter]:
    found: list[Parameter] = []
    for entry in _objects(member, value, "ContextKeyName", "ContextKeyValues"):
        values = entry["ContextKeyValues"]
        if not isinstance(values, list):
            raise ValidationException(f"ContextKeyValues of {member.name} must be a list of strings.")
        inner = Member(member.name, most=member.most, least=0)
        texts: list[Parameter] = [_text(inner, text, f"each value of {member.name}") for text in values]
        found.append(
            {"ContextKeyName": _text(member, entry["ContextKeyName"], "ContextKeyName"), "ContextKeyValues": texts}
        )
    return found


_READERS: Final[Mapping[Form, Callable[[Member, _Json], Parameter]]] = {
    Form.TEXT: _text,
    Form.DOCUMENT: _document,
    Form.INTEGER: _integer,
    Form.BOOLEAN: _boolean,
    Form.TEXTS: _texts,
    Form.TAGS: _tags,
    Form.MOMENT: _moment,
    Form.ENTRIES: _context_entries,
}
