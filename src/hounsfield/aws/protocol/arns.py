"""Amazon Resource Names of data stores and image sets.

arn:aws:medical-imaging:us-east-1:000000000000:datastore/<32>[/imageset/<32>]
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hounsfield.aws.protocol.errors import ValidationException

_FORM = re.compile(
    r"arn:(?P<partition>aws(?:-us-gov|-iso|-iso-b|-cn)?):medical-imaging:(?P<region>[a-z0-9-]+):(?P<account_id>[0-9]{12})"
    r":datastore/(?P<datastore_id>[0-9a-z]{32})(?:/imageset/(?P<image_set_id>[0-9a-z]{32}))?",
)


@dataclass(frozen=True, slots=True)
class ResourceArn:
    """The name of a data store or of an image set; `str` gives its text.

    Attributes
    ----------
    partition : str
        ``aws``, ``aws-cn``, ``aws-us-gov``, ``aws-iso`` or ``aws-iso-b``.
    region : str
        Region, such as ``us-east-1``.
    account_id : str
        12 digits.
    datastore_id : str
        32 characters ``[0-9a-z]``.
    image_set_id : str or None
        32 characters ``[0-9a-z]``; None in the name of a data store.
    """

    partition: str
    region: str
    account_id: str
    datastore_id: str
    image_set_id: str | None = None

    def __post_init__(self) -> None:
        if not _FORM.fullmatch(str(self)):
            raise ValueError("The parts given make no ARN of a data store or image set.")

    def __str__(self) -> str:
        """Return the text of the ARN."""
        head = f"arn:{self.partition}:medical-imaging:{self.region}:{self.account_id}:datastore/{self.datastore_id}"
        return head if self.image_set_id is None else f"{head}/imageset/{self.image_set_id}"

    @classmethod
    def parse(cls, text: str) -> ResourceArn:
        """Read an ARN.

        Parameters
        ----------
        text : str
            The ARN, not percent-encoded.

        Raises
        ------
        ValidationException
            The text is no ARN of a data store or image set.
        """
        form = _FORM.fullmatch(text)
        if form is None:
            message = (
                "The ARN must have the form arn:<partition>:medical-imaging:<region>:<account>:datastore/<datastoreId>"
                " or that followed by /imageset/<imageSetId>."
            )
            raise ValidationException(message)
        return cls(form["partition"], form["region"], form["account_id"], form["datastore_id"], form["image_set_id"])

    @property
    def datastore(self) -> ResourceArn:
        """The ARN of the data store: of the image set's, or the ARN itself."""
        return ResourceArn(self.partition, self.region, self.account_id, self.datastore_id)
