"""All settings of an installation, typed, from the environment and an optional TOML file.

    HOUNSFIELD_* environment ─┐
    hounsfield.toml          ─┴─▶ reading ─▶ settings.Settings: fields, checks (environment wins)

Every field is set by ``HOUNSFIELD_<NAME>``, or by ``<name>`` in the TOML file that ``HOUNSFIELD_CONFIG`` names.
"""

from hounsfield.settings.errors import PREFIX, InstallationError, SettingsError
from hounsfield.settings.reading import load_settings
from hounsfield.settings.settings import Settings

__all__ = ["PREFIX", "InstallationError", "Settings", "SettingsError", "load_settings"]
