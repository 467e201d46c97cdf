"""Templates: pages from Jinja2, everything escaped, with what every page may use.

Visit.render("datastores.html", …) ─▶ environment ─▶ HTML
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, Undefined
from markupsafe import Markup, escape

from hounsfield.console.calls import label
from hounsfield.console.dicom_dates import show_dicom_date
from hounsfield.console.imagesets.image_set_content import show_tag, show_value
from hounsfield.console.imagesets.vr_hints import vr_hint
from hounsfield.console.ohif import installed_ohif
from hounsfield.console.person_names import show_person_name
from hounsfield.console.static_files import static_url
from hounsfield.iam.principals import Principal

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")


def make_environment() -> Environment:
    """Return the environment of all templates: what is shown is escaped."""
    environment = Environment(
        loader=PackageLoader("hounsfield.console", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(static=static_url, who_is=who_is, installed_ohif=installed_ohif)
    environment.filters.update(
        moment=show_moment,
        iso_moment=show_iso_moment,
        day=show_day,
        hour=show_hour,
        size=show_size,
        number=show_number,
        label=label,
        query=query_string,
        tag=show_tag,
        value=show_value,
        vr_hint=vr_hint,
    )
    environment.filters.update(person=show_person_name, dicom_date=show_dicom_date)
    return environment


def who_is(principal: Principal) -> str:
    """Return whom a person knows a principal as: the name of a user, role and session of a role, or root."""
    if principal.session is not None:
        return f"{principal.name}/{principal.session.name}"
    return principal.name or ("root" if principal.is_root else principal.arn)


def show_moment(value: object) -> Markup:
    """Return a moment as an element that the browser shows in its own locale and time zone.

    Parameters
    ----------
    value : datetime, float or None
        The moment, or seconds since 1970-01-01 UTC as the API gives them; one that is absent is shown as a dash.
    """
    if _is_absent(value):
        return Markup("–")
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(float(str(value)), UTC)
    moment = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z", moment.strftime("%Y-%m-%d %H:%M:%S")
    )


def show_iso_moment(value: object) -> Markup:
    """Return a moment in ISO 8601, as the administration API gives them, as `show_moment` does; None is shown as a dash."""
    return show_moment(None if _is_absent(value) else datetime.fromisoformat(str(value)))


def query_string(parameters: Mapping[str, object]) -> str:
    """Return parameters as the query of an address; those that are None are left out."""
    return urlencode({name: str(value) for name, value in parameters.items() if value is not None})


def show_day(value: object) -> Markup:
    """Return a day in ISO 8601 as an element that the browser shows in its own locale."""
    return Markup('<time datetime="{}" data-as="day">{}</time>').format(value, value)


def show_hour(value: object) -> Markup:
    """Return a moment in ISO 8601 as `show_moment` does, without its seconds."""
    moment = datetime.fromisoformat(str(value)).astimezone(UTC)
    return Markup('<time datetime="{}" data-as="hour">{} UTC</time>').format(
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"), moment.strftime("%Y-%m-%d %H:%M")
    )


def show_size(value: object) -> Markup:
    """Return a number of bytes in a unit that suits it, as an element that the browser shows in its own locale."""
    if _is_absent(value):
        return Markup("–")
    size = int(str(value))
    number, unit = float(size), 0
    while number >= 999.5 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    text = f"{number:.0f}" if unit == 0 or number >= 99.95 else f"{number:.1f}"
    return Markup('<data value="{}" data-as="size">{} {}</data>').format(size, text, _UNITS[unit])


def show_number(value: object) -> Markup:
    """Return a number as an element that the browser shows with the separators of its own locale."""
    if _is_absent(value):
        return Markup("–")
    return Markup('<data value="{}" data-as="number">{}</data>').format(value, escape(str(value)))


def _is_absent(value: object) -> bool:
    """Return whether a member of an answer is not there: None, or what Jinja has for a name that it does not find."""
    return value is None or isinstance(value, Undefined)
