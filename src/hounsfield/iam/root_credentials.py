"""The root key pair of an installation, in a file that AWS clients read."""

from __future__ import annotations

import configparser
import secrets
from dataclasses import dataclass
from pathlib import Path

from hounsfield.storage.durable_files import write_file_durably

_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ID_DIGITS = 16
_SECRET_BYTES = 30
PROFILE = "default"


def credentials_file(data: Path) -> Path:
    """Return the path of the file with the root key pair of a data folder."""
    return data / "credentials"


class CredentialsError(ValueError):
    """The file of the root key pair cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key id and its secret."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"AccessKey({self.id})"


def root_key(path: Path) -> AccessKey:
    """Read the root key pair, making the file (mode 0600, profile ``default``) when there is none.

    Raises
    ------
    CredentialsError
        The file is there but cannot be read, or has no key pair in its profile ``default``.
    OSError
        It cannot be made.
    """
    if not path.exists():
        identifier = "AKIA" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_DIGITS))
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        content = f"[{PROFILE}]\naws_access_key_id = {identifier}\naws_secret_access_key = {secret}\n"
        write_file_durably(path, content.encode(), mode=0o600, replace=False)
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        section = parser[PROFILE]
        return AccessKey(section["aws_access_key_id"], section["aws_secret_access_key"])
    except OSError as error:
        raise CredentialsError(f"{path} cannot be read: {error.strerror}") from error
    except (KeyError, configparser.Error, UnicodeDecodeError) as error:
        raise CredentialsError(f"{path} has no key pair in its profile {PROFILE}") from error
