"""The user of the demo: as the root key is for setting up only, everything else is done with this user's key.

data store ─▶ user and role, each with what it needs and no more ─▶ DIR/demo-credentials
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from hounsfield.cli.import_command import BUCKET
from hounsfield.cli.installation import open_directory
from hounsfield.iam.credentials_file import CredentialsProfile
from hounsfield.iam.identities import access_keys, attachments, identities
from hounsfield.iam.identities.errors import EntityAlreadyExistsError
from hounsfield.iam.identities.records import IdentityKind, KeyStatus
from hounsfield.iam.identities.repository import Repository
from hounsfield.iam.policies.aws_managed import SERVICE
from hounsfield.iam.root_credentials import PROFILE, AccessKey, CredentialsError, root_key
from hounsfield.settings import Settings

NAME: Final = "hounsfield-demo"
"""Name of the user, of the role of its import job, and of the policy of each."""
_READS: Final = (
    "GetDatastore",
    "GetDICOMImportJob",
    "ListDICOMImportJobs",
    "SearchImageSets",
    "GetImageSet",
    "GetImageSetMetadata",
    "ListImageSetVersions",
    "GetImageFrame",
    "SearchDICOM*",
    "GetDICOM*",
)


def user_credentials_file(data: Path) -> Path:
    """Return the path of the AWS credentials file with the key of the user."""
    return data / "demo-credentials"


def user_key(settings: Settings, datastore_id: str) -> AccessKey:
    """Return a key of the user, who is made where there is none yet; recorded as a command is.

    Parameters
    ----------
    settings : Settings
        The installation.
    datastore_id : str
        The data store that the user may import into and read.

    Raises
    ------
    RefusedError
        The installation cannot be opened, or the user cannot be made.
    InvalidError
        The credentials file cannot be written.
    """
    with open_directory(settings.data, click.get_current_context()) as repository:
        _make_role(repository)
        _make_user(repository, settings, datastore_id)
        return _known_key(repository, settings.data) or _new_key(repository, settings.data)


def _make_role(repository: Repository) -> None:
    bucket = f"arn:{repository.partition}:s3:::{BUCKET}"
    trust = _document({"Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": "sts:AssumeRole"})
    try:
        identities.create_role(repository, NAME, trust, description="Reads and writes for the import job of the demo.")
    except EntityAlreadyExistsError:
        identities.update_role(repository, NAME, trust=trust)
    rights = {"Effect": "Allow", "Action": "s3:*", "Resource": [bucket, f"{bucket}/*"]}
    attachments.put_inline_policy(repository, IdentityKind.ROLE, NAME, NAME, _document(rights))


def _make_user(repository: Repository, settings: Settings, datastore_id: str) -> None:
    with suppress(EntityAlreadyExistsError):
        identities.create_user(repository, NAME)
    datastore = (
        f"arn:{settings.partition}:medical-imaging:{settings.region}:{settings.account_id}:datastore/{datastore_id}"
    )
    rights = _document(
        {"Effect": "Allow", "Action": "medical-imaging:ListDatastores", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": [f"medical-imaging:{action}" for action in ("StartDICOMImportJob", *_READS)],
            "Resource": [datastore, f"{datastore}/imageset/*"],
        },
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": repository.arn(IdentityKind.ROLE, NAME),
            "Condition": {"StringEquals": {"iam:PassedToService": SERVICE}},
        },
    )
    attachments.put_inline_policy(repository, IdentityKind.USER, NAME, NAME, rights)


def _document(*statements: Mapping[str, str | Sequence[str] | Mapping[str, object]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _known_key(repository: Repository, data: Path) -> AccessKey | None:
    """Return the key that an earlier demo wrote down, if it still counts."""
    path = user_credentials_file(data)
    if not path.exists():
        return None
    try:
        key = root_key(path)
    except CredentialsError:
        return None
    counting = {record.id for record in access_keys.list_keys(repository, NAME) if record.status is KeyStatus.ACTIVE}
    return key if key.id in counting else None


def _new_key(repository: Repository, data: Path) -> AccessKey:
    for record in access_keys.list_keys(repository, NAME):
        # Whoever has the secret of an older one has lost it: it was only ever in the file.
        access_keys.delete_key(repository, record.id)
    profile = CredentialsProfile.of(user_credentials_file(data), PROFILE)
    return access_keys.create_key(repository, NAME, deliver=lambda made: profile.write(made.pair)).pair
