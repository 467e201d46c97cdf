"""Data keys wrapped by a key service (the API of AWS KMS).

    CreateDatastore ─▶ DescribeKey: symmetric, enabled? ─▶ GenerateDataKey ─▶ wrapped data key, in the row of the data store
    first use, and whenever what is kept in memory has reached its age ─▶ Decrypt ─▶ data key

Both name the data store and the key in the encryption context, so that a wrapped key is of no use elsewhere, and the log of
the service tells which data store a key was used for.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from hounsfield.storage.keys.data_key import KEY_BYTES, KeyServiceDownError, KeyUnavailableError

_ARN: Final = re.compile(r"arn:[a-z-]+:kms:(?P<region>[a-z0-9-]+):\d{12}:(?:key|alias)/.+")
_MARK: Final = b"AWS-KMS1"
"""What a data key wrapped by a key service begins with, in the place of the id of a master key."""
_LENGTH_BYTES = 2
_CONNECT_SECONDS = 2.0
_READ_SECONDS = 5.0
_TRIES = 2

_GONE: Final = {
    "NotFoundException": "there is no such key",
    "InvalidArnException": "it is not the ARN of a key",
    "DisabledException": "the key is disabled",
    "KMSInvalidStateException": "the key is not enabled",
    "InvalidKeyUsageException": "the key is not one that encrypts",
    "UnsupportedOperationException": "the key is not one that encrypts",
}
_DENIED: Final = frozenset(
    {
        *_GONE,
        "AccessDenied",
        "AccessDeniedException",
        "IncorrectKeyException",
        "InvalidCiphertextException",
        "InvalidGrantTokenException",
        "NotAuthorizedException",
    }
)
"""Answers that mean that the key must not or cannot be used; all others mean that the service cannot answer now."""

_log = structlog.get_logger(__name__)


class UnusableKeyError(Exception):
    """A key cannot be that of a data store; the message says why."""


@dataclass(frozen=True, slots=True)
class KeyServicePlace:
    """Where the key service is, and who asks it.

    Attributes
    ----------
    region : str
        Its region; keys of others are refused.
    endpoint_url : str or None
        Its URL; None for AWS itself.
    access_key_id, secret_access_key : str
        The credentials; empty for those of the environment.
    """

    region: str
    endpoint_url: str | None = None
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)


class KeyService:
    """A key service that speaks the API of AWS KMS; asked by any number of threads.

    Parameters
    ----------
    place : KeyServicePlace
        Where it is.
    """

    def __init__(self, place: KeyServicePlace) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._client: Any = None

    def make(self, arn: str, datastore_id: str) -> bytes:
        """Make the data key of a new data store; gives it wrapped (KMS DescribeKey, GenerateDataKey).

        Parameters
        ----------
        arn : str
            ARN of a key, or of an alias, which is followed once.
        datastore_id : str
            Which data store it is for.

        Raises
        ------
        UnusableKeyError
            The key is not there, is not symmetric, is disabled, or is of another region.
        KeyUnavailableError
            This installation must not use it.
        KeyServiceDownError
            The service does not answer.
        """
        named = _ARN.fullmatch(arn)
        if named is None or named["region"] != self._place.region:
            raise UnusableKeyError(f"it must be the ARN of a key or an alias in {self._place.region}")
        try:
            key = self._call("describe_key", KeyId=arn)["KeyMetadata"]
            _check_usable(key)
            context = _context(key["Arn"], datastore_id)
            made = self._call("generate_data_key", KeyId=key["Arn"], EncryptionContext=context, NumberOfBytes=KEY_BYTES)
        except ClientError as error:
            code = _code(error)
            if code in _GONE:
                raise UnusableKeyError(_GONE[code]) from error
            raise _translated(error, arn) from error
        name = str(key["Arn"]).encode()
        return b"".join((_MARK, len(name).to_bytes(_LENGTH_BYTES, "big"), name, made["CiphertextBlob"]))

    def unwrap(self, wrapped: bytes, datastore_id: str) -> bytes:
        """Unwrap what `make` made (KMS Decrypt).

        Raises
        ------
        KeyUnavailableError
            The key is gone or disabled, or must not be used.
        KeyServiceDownError
            The service does not answer.
        """
        arn, sealed = _parts(wrapped)
        try:
            answer = self._call(
                "decrypt", KeyId=arn, CiphertextBlob=sealed, EncryptionContext=_context(arn, datastore_id)
            )
        except ClientError as error:
            raise _translated(error, arn) from error
        return bytes(answer["Plaintext"])

    def _call(self, operation: str, **parameters: object) -> Mapping[str, Any]:
        with self._lock:
            # Not before it is needed: a client costs memory that most installations never use.
            if self._client is None:
                self._client = self._connect()
        try:
            answer: Mapping[str, Any] = getattr(self._client, operation)(**parameters)
        except BotoCoreError as error:
            _log.error("the key service does not answer", error=type(error).__name__)
            raise KeyServiceDownError("the key service does not answer") from error
        return answer

    def _connect(self) -> Any:
        place = self._place
        credentials = (
            {"aws_access_key_id": place.access_key_id, "aws_secret_access_key": place.secret_access_key}
            if place.access_key_id
            else {}
        )
        retries = {"mode": "standard", "total_max_attempts": _TRIES}
        config = Config(connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries=retries)
        return Session().create_client(
            "kms", region_name=place.region, endpoint_url=place.endpoint_url, config=config, **credentials
        )


def is_of_service(wrapped: bytes) -> bool:
    """Return whether a wrapped data key was wrapped by a key service, not by the local keyring."""
    return wrapped.startswith(_MARK)


def service_key_of(wrapped: bytes) -> str:
    """Return the ARN of the key that wraps a data key for which `is_of_service` is true."""
    return _parts(wrapped)[0]


def _parts(wrapped: bytes) -> tuple[str, bytes]:
    start = len(_MARK) + _LENGTH_BYTES
    end = start + int.from_bytes(wrapped[len(_MARK) : start], "big")
    return wrapped[start:end].decode(), wrapped[end:]


def _context(arn: str, datastore_id: str) -> dict[str, str]:
    """Return the encryption context, with the keys that AWS HealthImaging uses."""
    return {"kms-arn": arn, "aws:medical-imaging:datastoreId": datastore_id}


def _check_usable(key: Mapping[str, Any]) -> None:
    kind = key.get("KeySpec") or key.get("CustomerMasterKeySpec")
    # Services that speak the API leave out what is the default.
    usage = key.get("KeyUsage") or "ENCRYPT_DECRYPT"
    if kind != "SYMMETRIC_DEFAULT" or usage != "ENCRYPT_DECRYPT":
        raise UnusableKeyError(f"the key is {kind} for {usage}, it must be symmetric and for ENCRYPT_DECRYPT")
    if key.get("KeyState") != "Enabled":
        raise UnusableKeyError(f"the key is {key.get('KeyState')}, it must be Enabled")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _translated(error: ClientError, arn: str) -> KeyUnavailableError:
    code = _code(error)
    _log.error("the key service refuses", key=arn, code=code)
    if code in _DENIED:
        return KeyUnavailableError(f"the key service refuses the key: {code}")
    return KeyServiceDownError(f"the key service cannot answer: {code}")
