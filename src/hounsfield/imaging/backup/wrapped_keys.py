"""Master keys in a backup: wrapped by a passphrase, or by a key of the key service, never plain.

    keyring ─▶ fingerprint of its key ids ─▶ keys/<fingerprint>.json, written once
               passphrase:  the file of `hounsfield master-key export`
               key service: data key by GenerateDataKey ─▶ AES-256-GCM over the keyring

A backup of a keyring that is there already asks for nothing: a server that backs itself up needs no passphrase on its disk.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hounsfield.imaging.backup.errors import BackupDamagedError, BackupError
from hounsfield.imaging.backup.place import BackupPlace
from hounsfield.storage.keys.data_key import KeyUnavailableError
from hounsfield.storage.keys.key_export import FORMAT as EXPORT_FORMAT
from hounsfield.storage.keys.key_export import ExportError, export_keys, import_keys
from hounsfield.storage.keys.kms import KeyService, UnusableKeyError, service_key_of
from hounsfield.storage.keys.master_keys import KeyringContent, KeyringError

FORMAT: Final = "hounsfield backup keys"
VERSION: Final = 1
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class KeyProtection:
    """What wraps the master keys in a backup, and opens them again.

    Attributes
    ----------
    passphrase : str or None
        The passphrase, where one was given.
    service : KeyService or None
        The key service, where the installation has one.
    service_key_arn : str or None
        The key of it that is to wrap; None for the passphrase.
    """

    passphrase: str | None = field(default=None, repr=False)
    service: KeyService | None = None
    service_key_arn: str | None = None


def keys_name(content: KeyringContent) -> str:
    """Return the name of the object that holds a keyring."""
    ids = b"".join((*content.keys, b"current", content.current))
    return f"keys/{hashlib.sha256(ids).hexdigest()[:32]}.json"


def keep_keys(place: BackupPlace, backup_id: str, content: KeyringContent, protection: KeyProtection) -> str:
    """Make sure that a backup has the master keys; gives the name of their object.

    Raises
    ------
    BackupError
        They are not there yet, and nothing is given that wraps them; or they are there, wrapped by another passphrase.
    OSError
        The place cannot be written.
    """
    name = keys_name(content)
    if place.has(name):
        if protection.passphrase is not None:
            opened = open_keys(place.read(name), name, backup_id, protection)
            if dict(opened.keys) != dict(content.keys):
                raise BackupDamagedError(f"{name} of the backup holds other keys than its name says")
        return name
    if protection.service_key_arn is not None:
        place.write(name, _wrap_by_service(content, backup_id, protection))
    elif protection.passphrase is not None:
        try:
            place.write(name, export_keys(content, protection.passphrase))
        except ExportError as error:
            raise BackupError(str(error)) from error
    else:
        raise BackupError(
            "the master keys are not in the backup yet, or were rotated since; "
            "give --passphrase-file or --kms-key, which is to wrap them there"
        )
    return name


def open_keys(document: bytes, name: str, backup_id: str, protection: KeyProtection) -> KeyringContent:
    """Return the master keys of a backup.

    Raises
    ------
    BackupError
        The passphrase is another one or missing, or the key service does not open them.
    BackupDamagedError
        The object is not as it was written.
    """
    kind = _format_of(document, name)
    if kind == FORMAT:
        return _open_by_service(document, name, backup_id, protection)
    if protection.passphrase is None:
        raise BackupError("the master keys in the backup are wrapped by a passphrase; give it with --passphrase-file")
    try:
        return import_keys(document, protection.passphrase)
    except ExportError as error:
        raise BackupError(f"{name} of the backup does not open: {error}") from error


def needs_passphrase(document: bytes, name: str) -> bool:
    """Return whether master keys are wrapped by a passphrase; raises `BackupDamagedError`."""
    return _format_of(document, name) == EXPORT_FORMAT


def _format_of(document: bytes, name: str) -> str:
    try:
        kind = orjson.loads(document)["format"]
    except (KeyError, TypeError, orjson.JSONDecodeError) as error:
        raise BackupDamagedError(f"{name} of the backup is damaged") from error
    if kind not in (FORMAT, EXPORT_FORMAT):
        raise BackupDamagedError(f"{name} of the backup holds no master keys")
    return str(kind)


def _wrap_by_service(content: KeyringContent, backup_id: str, protection: KeyProtection) -> bytes:
    if protection.service is None:
        raise BackupError("this installation has no key service, see HOUNSFIELD_KMS_ENDPOINT_URL; give a passphrase")
    arn = protection.service_key_arn or ""
    try:
        wrapped = protection.service.make(arn, backup_id)
        key = protection.service.unwrap(wrapped, backup_id)
    except (UnusableKeyError, KeyUnavailableError) as error:
        raise BackupError(f"the key {arn} cannot wrap the master keys: {error}") from error
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, content.text(), _context(backup_id))
    document = {
        "format": FORMAT,
        "version": VERSION,
        "kms_key": service_key_of(wrapped),
        "wrapped": b64encode(wrapped).decode(),
        "nonce": b64encode(nonce).decode(),
        "sealed": b64encode(sealed).decode(),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _open_by_service(document: bytes, name: str, backup_id: str, protection: KeyProtection) -> KeyringContent:
    try:
        content = orjson.loads(document)
        if content["version"] != VERSION:
            raise BackupError(f"{name} is of version {content['version']}, this Hounsfield reads {VERSION}")
        wrapped, nonce, sealed = (b64decode(content[part], validate=True) for part in ("wrapped", "nonce", "sealed"))
        arn = service_key_of(wrapped)
    except (KeyError, TypeError, ValueError) as error:
        raise BackupDamagedError(f"{name} of the backup is damaged") from error
    if protection.service is None:
        raise BackupError(
            f"the master keys in the backup are wrapped by {arn}; name its key service with HOUNSFIELD_KMS_ENDPOINT_URL "
            "or HOUNSFIELD_KMS=aws"
        )
    try:
        key = protection.service.unwrap(wrapped, backup_id)
        return KeyringContent.parse(AESGCM(key).decrypt(nonce, sealed, _context(backup_id)))
    except KeyUnavailableError as error:
        if isinstance(error, KeyringError):
            raise BackupDamagedError(f"{name} of the backup is damaged") from error
        raise BackupError(
            f"the master keys in the backup are wrapped by {arn}, which does not open them: {error}"
        ) from error
    except (InvalidTag, ValueError) as error:
        raise BackupDamagedError(f"{name} of the backup was changed, or is of another backup") from error


def _context(backup_id: str) -> bytes:
    return f"{FORMAT}:{VERSION}:{backup_id}".encode()
