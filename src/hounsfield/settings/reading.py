"""Reader of the settings: the environment wins over the TOML file.

HOUNSFIELD_* environment ─┐
hounsfield.toml          ─┴─▶ values of the right types ─▶ Settings, which checks them
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Any, get_type_hints

from hounsfield.settings.errors import PREFIX, SettingsError
from hounsfield.settings.settings import Settings


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Parameters
    ----------
    environment : Mapping[str, str] | None
        The environment; that of the process when None.

    Raises
    ------
    SettingsError
        A value is of the wrong type, or a name is not a setting.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    config = environment.get(f"{PREFIX}CONFIG")
    if config:
        try:
            with Path(config).open("rb") as file:
                values.update(tomllib.load(file))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else f"it is not TOML: {error}"
            raise SettingsError(f"{PREFIX}CONFIG names {config}, which cannot be read: {reason}") from error
    names = {field.name for field in fields(Settings)}
    unknown = sorted(values.keys() - names)
    if unknown:
        raise SettingsError(f"{config} has unknown settings: {', '.join(unknown)}")
    for name in names:
        given = environment.get(PREFIX + name.upper())
        if given is not None:
            values[name] = given
    types = get_type_hints(Settings)
    return Settings(**{name: _converted(name, value, types[name]) for name, value in values.items()})


def _converted(name: str, value: Any, wanted: type) -> Any:
    if wanted is bool:
        text = str(value).lower()
        if text not in {"true", "false", "1", "0", "yes", "no"}:
            raise SettingsError(f"{PREFIX}{name.upper()} is {value!r}, it must be true or false")
        return text in {"true", "1", "yes"}
    if issubclass(wanted, StrEnum) and value not in set(wanted):
        raise SettingsError(f"{PREFIX}{name.upper()} is {value!r}, it must be one of {', '.join(wanted)}")
    try:
        return wanted(value)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{PREFIX}{name.upper()} is {value!r}, it must be of type {wanted.__name__}") from error
