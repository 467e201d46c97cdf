"""Delivery of the audit trail to a bucket, in the folders and files of CloudTrail.

files ─from the position─▶ {"Records":[…]}, gzip ─▶ planned: key, from, to ─▶ PUT ─▶ position moved on
                                                           └─ durable first: what is put again after a crash is
                                                              the same object under the same key

<prefix>/AWSLogs/<account>/CloudTrail/<region>/2026/03/14/<account>_CloudTrail_<region>_20260314T0915Z_<unique>.json.gz
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson
import structlog

from hounsfield.audit.chain_files import ChainFile, chain_file, chain_files
from hounsfield.audit.file_locks import try_lock
from hounsfield.audit.hash_chain import record_in
from hounsfield.storage.buckets.bucket import Bucket, BucketError
from hounsfield.storage.durable_files import write_file_durably

OBJECT_BYTES: Final = 16 * 1024 * 1024
"""Bytes of records in one object, before compression."""

POSITIONS: Final = "delivered.json"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class FileOffset:
    """A place in a chain: number of the file, offset in it in bytes."""

    file: int = 1
    offset: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryPlan:
    """An object that is being delivered: what of a chain is in it, and its key."""

    chain: str
    begin: FileOffset
    end: FileOffset
    key: str


@dataclass(slots=True)
class DeliveryProgress:
    """How far each chain is delivered, and what is being delivered; kept in a file.

    Attributes
    ----------
    chains : dict of str to FileOffset
        Up to where.
    plan : DeliveryPlan or None
        The object under way.
    """

    chains: dict[str, FileOffset] = field(default_factory=dict)
    plan: DeliveryPlan | None = None

    @classmethod
    def read(cls, folder: Path) -> DeliveryProgress:
        """Read them; where nothing was delivered yet, there are none."""
        try:
            content = orjson.loads((folder / POSITIONS).read_bytes())
        except FileNotFoundError:
            return cls()
        plan = content["plan"]
        return cls(
            {chain: FileOffset(**place) for chain, place in content["chains"].items()},
            None
            if plan is None
            else DeliveryPlan(plan["chain"], FileOffset(**plan["begin"]), FileOffset(**plan["end"]), plan["key"]),
        )

    def write(self, folder: Path) -> None:
        """Keep them durably."""
        content = {
            "chains": {chain: asdict(place) for chain, place in self.chains.items()},
            "plan": None if self.plan is None else asdict(self.plan),
        }
        write_file_durably(folder / POSITIONS, orjson.dumps(content))

    def has(self, file: ChainFile) -> bool:
        """Return whether a file is delivered to its end."""
        place = self.chains.get(file.chain, FileOffset())
        return place.file > file.number or (place.file == file.number and place.offset >= file.path.stat().st_size)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Delivers an audit folder.

    Attributes
    ----------
    folder : Path
        The audit folder.
    bucket : Bucket
        Where to.
    prefix : str
        What keys begin with; empty, or ending with a slash.
    account_id, region : str
        Of the installation.
    object_bytes : int
        Bytes of records in one object, before compression.
    """

    folder: Path
    bucket: Bucket
    prefix: str
    account_id: str
    region: str
    object_bytes: int = OBJECT_BYTES

    def run(self) -> int:
        """Deliver everything that is there; gives the number of objects.

        Raises
        ------
        BucketError
            The bucket does not take an object; what was not delivered is delivered the next time.
        OSError
            The audit folder cannot be read or written.
        """
        if not self.folder.is_dir():
            return 0
        lock = try_lock(self.folder / "delivery.lock")
        if lock is None:
            return 0
        try:
            return self._run()
        finally:
            os.close(lock)

    def _run(self) -> int:
        positions = DeliveryProgress.read(self.folder)
        count = 0
        if positions.plan is not None:
            count += self._carry_out(positions, positions.plan)
        there = {file.chain for file in chain_files(self.folder)}
        for chain in sorted(there):
            while (plan := self._plan(chain, positions.chains.get(chain, FileOffset()))) is not None:
                positions.plan = plan
                positions.write(self.folder)
                count += self._carry_out(positions, plan)
        for chain in positions.chains.keys() - there:
            del positions.chains[chain]
        positions.write(self.folder)
        return count

    def _carry_out(self, positions: DeliveryProgress, plan: DeliveryPlan) -> int:
        records = [body for body, _ in self._records(plan.chain, plan.begin, plan.end)]
        if records:
            content = b'{"Records":[' + b",".join(records) + b"]}"
            self.bucket.put(plan.key, gzip.compress(content, mtime=0))
        positions.chains[plan.chain] = plan.end
        positions.plan = None
        positions.write(self.folder)
        return 1 if records else 0

    def _plan(self, chain: str, begin: FileOffset) -> DeliveryPlan | None:
        size = count = 0
        end = begin
        for body, place in self._records(chain, begin):
            size += len(body)
            count += 1
            end = place
            if size >= self.object_bytes:
                break
        return DeliveryPlan(chain, begin, end, self._key(chain, begin)) if count else None

    def _key(self, chain: str, begin: FileOffset) -> str:
        now = datetime.now(UTC)
        digest = hashlib.sha256(f"{chain} {begin.file} {begin.offset}".encode()).digest()
        unique = base64.b32encode(digest).decode()[:16]
        name = f"{self.account_id}_CloudTrail_{self.region}_{now:%Y%m%dT%H%MZ}_{unique}.json.gz"
        return f"{self.prefix}AWSLogs/{self.account_id}/CloudTrail/{self.region}/{now:%Y/%m/%d}/{name}"

    def _records(
        self, chain: str, begin: FileOffset, end: FileOffset | None = None
    ) -> Iterator[tuple[bytes, FileOffset]]:
        """Yield the records of a chain from a place on, each with the place behind it."""
        number = begin.file
        numbers = [file.number for file in chain_files(self.folder, chain) if file.number >= number]
        for number in numbers:
            offset = begin.offset if number == begin.file else 0
            with chain_file(self.folder, chain, number).open("rb") as opened:
                opened.seek(offset)
                for text in opened:
                    if not text.endswith(b"\n"):
                        # It is being written.
                        return
                    offset += len(text)
                    place = FileOffset(number, offset)
                    if end is not None and place > end:
                        return
                    # `verify` tells of a line that is damaged; what is whole is delivered all the same.
                    body = record_in(text)
                    if body is not None:
                        yield body, place


def deliver_with_retries(delivery: Delivery) -> bool:
    """Deliver what is there; tells whether that worked, and logs why not."""
    try:
        count = delivery.run()
    except (BucketError, OSError) as error:
        _log.error("audit trail cannot be delivered now", reason=str(error))
        return False
    if count:
        _log.info("audit trail delivered", objects=count)
    return True
