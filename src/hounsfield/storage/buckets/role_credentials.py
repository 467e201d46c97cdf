"""Credentials of an assumed role, renewed for as long as they are used.

    AssumedRole ─▶ role_credentials ─▶ AssumeRole ─▶ credentials ─▶ botocore, obstore
                                            ▲                │
                                            └── before they end, in whichever process uses them

The endpoint is AWS's, or what ``AWS_ENDPOINT_URL_STS`` names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from obstore.store import S3Credential

_SECONDS: Final = 3600
_CONNECT_SECONDS: Final = 5
_KEPT_FOR: Final = timedelta(minutes=6)
"""How long obstore is told that credentials are good; it asks again 5 minutes before."""


class RoleRefusedError(Exception):
    """A role cannot be assumed; the message says why."""


@dataclass(frozen=True, slots=True)
class AssumedRole:
    """A role that is used, in a form that can be sent to a worker process.

    Attributes
    ----------
    arn : str
        Its ARN.
    session : str
        Name of the session.
    region : str
        Region of the STS endpoint.
    access_key_id, secret_access_key : str
        Who assumes it; empty for the credentials of the environment.
    """

    arn: str
    session: str
    region: str
    access_key_id: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)


class RoleCredentials:
    """Credentials of a role.

    Parameters
    ----------
    role : AssumedRole
        The role.
    """

    def __init__(self, role: AssumedRole) -> None:
        from botocore.credentials import DeferredRefreshableCredentials

        self._role = role
        self._sts = _sts_client(role.region, role.access_key_id, role.secret_access_key)
        self._credentials = DeferredRefreshableCredentials(self._assume, "assume-role")

    def check(self) -> None:
        """Make sure that the role can be assumed; raises `RoleRefusedError` when not, and OSError when nobody answers."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._credentials.get_frozen_credentials()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) >= 500:
                raise OSError(f"the security token service answered {code}") from error
            raise RoleRefusedError(f"the security token service answered {code}") from error
        except BotoCoreError as error:
            raise OSError(f"the security token service cannot be asked: {type(error).__name__}") from error

    def for_obstore(self) -> S3Credential:
        """Return the present credentials in the form of obstore."""
        frozen = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _KEPT_FOR,
        }

    def session(self) -> Any:
        """Return a botocore session that uses them."""
        from botocore.credentials import CredentialProvider, CredentialResolver
        from botocore.session import get_session

        credentials = self._credentials

        class Provider(CredentialProvider):  # type: ignore[misc]
            METHOD = "assume-role"

            def load(self) -> Any:
                return credentials

        session = get_session()
        session.register_component("credential_provider", CredentialResolver([Provider()]))
        return session

    def _assume(self) -> dict[str, str]:
        answer = self._sts.assume_role(
            RoleArn=self._role.arn, RoleSessionName=self._role.session, DurationSeconds=_SECONDS
        )["Credentials"]
        return {
            "access_key": answer["AccessKeyId"],
            "secret_key": answer["SecretAccessKey"],
            "token": answer["SessionToken"],
            "expiry_time": answer["Expiration"].isoformat(),
        }


@lru_cache(maxsize=16)
def role_credentials(role: AssumedRole) -> RoleCredentials:
    """Return the credentials of a role, the same object throughout a process."""
    return RoleCredentials(role)


@lru_cache(maxsize=4)
def _sts_client(region: str, access_key_id: str, secret_access_key: str) -> Any:
    from botocore.config import Config
    from botocore.session import get_session

    return get_session().create_client(
        "sts",
        region_name=region,
        aws_access_key_id=access_key_id or None,
        aws_secret_access_key=secret_access_key or None,
        config=Config(
            retries={"mode": "standard", "max_attempts": 3},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_CONNECT_SECONDS,
        ),
    )
