"""What a parsed request is made of."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias, Union

Parameter: TypeAlias = Union[str, int, bool, bytes, datetime, list["Parameter"], "Parameters"]
Parameters: TypeAlias = dict[str, Parameter]
