"""Profiles of an AWS shared credentials file, where a new secret can be written without being shown.

    [viewer]
    aws_access_key_id = AKIA…
    aws_secret_access_key = …

Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hounsfield.iam.root_credentials import AccessKey
from hounsfield.storage.durable_files import write_file_durably

_PROFILE: Final = re.compile(r"[A-Za-z0-9_.@+/-]{1,64}")
_SECTION: Final = re.compile(r"\s*\[\s*(?P<name>[^\]]*?)\s*\]\s*(?:[#;].*)?")
_KEY_LINE: Final = re.compile(r"\s*aws_(?:access_key_id|secret_access_key|session_token)\s*=", re.IGNORECASE)
_MOST_BYTES: Final = 1024 * 1024


class ProfileError(ValueError):
    """The profile cannot be written; the message says why."""


def default_credentials_file() -> Path:
    """Return the file that AWS clients read: that of ``AWS_SHARED_CREDENTIALS_FILE``, or ``~/.aws/credentials``."""
    return Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()


@dataclass(frozen=True, slots=True)
class CredentialsProfile:
    """A profile, and the file as it was found.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        Name of the profile.
    before : str or None
        What the file held; None when there was none.
    """

    path: Path
    name: str
    before: str | None

    @classmethod
    def of(cls, path: Path, name: str) -> CredentialsProfile:
        """Read the file, which need not be there yet.

        Raises
        ------
        ProfileError
            The name is not that of a profile, or the file cannot be read.
        """
        if not _PROFILE.fullmatch(name):
            raise ProfileError(f"a profile name must be 1 to 64 letters, digits or any of _.@+/-, not {name[:64]!r}")
        # A link stays one: what it leads to is written.
        path = path.expanduser().resolve()
        try:
            if not path.exists():
                return cls(path, name, None)
            if not path.is_file() or path.stat().st_size > _MOST_BYTES:
                raise ProfileError(f"{path} is not a file of at most {_MOST_BYTES} bytes")
            return cls(path, name, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(f"{path} cannot be read: {error}") from None

    @property
    def is_there(self) -> bool:
        """Whether the file has the profile already."""
        return any(_section(line) == self.name for line in (self.before or "").splitlines())

    def write(self, key: AccessKey) -> None:
        """Put a key into the profile, and leave everything else in the file as it is; its mode becomes 0600.

        Raises
        ------
        ProfileError
            The file cannot be written.
        """
        try:
            write_file_durably(self.path, self._with(key).encode(), mode=0o600)
        except OSError as error:
            raise ProfileError(f"{self.path} cannot be written: {error.strerror}") from None

    def put_back(self) -> None:
        """Bring the file back to what it was."""
        if self.before is None:
            self.path.unlink(missing_ok=True)
        else:
            write_file_durably(self.path, self.before.encode(), mode=0o600)

    def _with(self, key: AccessKey) -> str:
        pair = [f"aws_access_key_id = {key.id}", f"aws_secret_access_key = {key.secret}"]
        lines: list[str] = []
        within = done = False
        for line in (self.before or "").splitlines():
            section = _section(line)
            if section is not None:
                within = section == self.name
                lines.append(line)
                if within and not done:
                    lines += pair
                    done = True
            elif not (within and _KEY_LINE.match(line)):
                lines.append(line)
        if not done:
            lines += [*([""] if lines and lines[-1].strip() else []), f"[{self.name}]", *pair]
        return "\n".join(lines) + "\n"


def _section(line: str) -> str | None:
    found = _SECTION.fullmatch(line)
    return found["name"] if found is not None else None
