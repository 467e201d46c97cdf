"""Names of persons (VR PN, PS3.5 section 6.2.1) as people read them.

    DOE^JANE^M^DR^JR=山田^花子=やまだ^はなこ ─▶ DOE, JANE M (DR, JR)  山田 花子  やまだ はなこ

Nothing is left out: what is no name of five components is shown as it is, and the title of the element has the value as it is.
"""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

_COMPONENTS: Final = 5


def show_person_name(name: str | None, missing: str = "–") -> Markup:
    """Return a name as an element.

    Parameters
    ----------
    name : str or None
        Component groups with ``=`` between them.
    missing : str
        What is shown where there is none.
    """
    if not name or not name.strip("^= "):
        return Markup("{}").format(missing)
    first, *others = name.split("=")
    shown = [Markup("<bdi>{}</bdi>").format(_alphabetic(first))] if first.strip("^ ") else []
    shown += [Markup('<bdi class="fine">{}</bdi>').format(_other(group)) for group in others if group.strip("^ ")]
    return Markup('<span class="person" title="{}">{}</span>').format(name, Markup(" ").join(shown))


def read_person_name(text: str) -> str:
    """Return what somebody types for a name as a pattern of a search by Patient Name (PS3.4 section C.2.2.2.4).

    ``doe, jane`` is a family name and a given name, each by its beginning. What has ``^``, ``=`` or wildcards is
    meant as it is.
    """
    text = text.strip()
    if not text or any(sign in text for sign in "^=*?"):
        return text
    family, comma, given = (part.strip() for part in text.partition(","))
    return f"{family}*^{given}*" if comma and given else f"{family}*"


def _alphabetic(group: str) -> str:
    parts = _parts(group)
    if len(parts) > _COMPONENTS or not parts[0]:
        return group
    family, given, middle, prefix, suffix = parts + [""] * (_COMPONENTS - len(parts))
    own = " ".join(part for part in (given, middle) if part)
    titles = ", ".join(part for part in (prefix, suffix) if part)
    return ", ".join(part for part in (family, own) if part) + (f" ({titles})" if titles else "")


def _other(group: str) -> str:
    """Return an ideographic or phonetic group: family name first, and no comma."""
    parts = _parts(group)
    return " ".join(part for part in parts if part) if len(parts) <= _COMPONENTS else group


def _parts(group: str) -> list[str]:
    return [part.strip() for part in group.rstrip("^ ").split("^")]
