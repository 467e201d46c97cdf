"""The managed policies of AWS HealthImaging (AWS Managed Policy Reference Guide), under the ARNs that AWS gives them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from hounsfield.iam.policies.document import Policy
from hounsfield.iam.policies.parser import parse_policy

_ARN: Final = re.compile(r"arn:aws(?:-[a-z]+)*:iam::aws:policy/(?P<name>\w+)")
SERVICE: Final = "medical-imaging.amazonaws.com"
"""The name of the service, to which roles of import jobs are passed."""

DOCUMENTS: Final[Mapping[str, Mapping[str, object]]] = {
    "AWSHealthImagingFullAccess": {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["medical-imaging:*"], "Resource": "*"},
            {
                "Effect": "Allow",
                "Action": "iam:PassRole",
                "Resource": "*",
                "Condition": {"StringEquals": {"iam:PassedToService": SERVICE}},
            },
        ],
    },
    "AWSHealthImagingReadOnlyAccess": {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "medical-imaging:GetDICOMImportJob",
                    "medical-imaging:GetDatastore",
                    "medical-imaging:GetImageFrame",
                    "medical-imaging:GetImageSet",
                    "medical-imaging:GetImageSetMetadata",
                    "medical-imaging:ListDICOMImportJobs",
                    "medical-imaging:ListDatastores",
                    "medical-imaging:ListImageSetVersions",
                    "medical-imaging:ListTagsForResource",
                    "medical-imaging:SearchImageSets",
                ],
                "Resource": "*",
            },
        ],
    },
}
"""The documents by name."""


def managed_arns(partition: str = "aws") -> tuple[str, ...]:
    """Return the ARNs of all of them in a partition."""
    return tuple(f"arn:{partition}:iam::aws:policy/{name}" for name in DOCUMENTS)


def managed_policy(arn: str) -> Policy | None:
    """Return a managed policy by its ARN, of any partition; None when there is none."""
    named = _ARN.fullmatch(arn)
    return _policy(named["name"]) if named is not None and named["name"] in DOCUMENTS else None


@cache
def _policy(name: str) -> Policy:
    return parse_policy(json.dumps(DOCUMENTS[name], indent=2))
