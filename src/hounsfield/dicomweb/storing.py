"""STOW-RS: StoreDICOM and StoreDICOMStudy (PS3.18 section 10.5).

    body ─▶ parts ─▶ spooled files ─▶ batches ─▶ worker processes ─▶ results ─▶ body proven ─▶ one commit ─▶ answer

The workers begin while the rest still arrives. How much is under way at once is bounded, so a client that sends faster than
frames can be encoded waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from hounsfield.aws.errors import UnsupportedMediaTypeException, ValidationException
from hounsfield.aws.response import WireResponse
from hounsfield.dicomweb.calls import Call
from hounsfield.dicomweb.multipart import PartBegin, PartData, PartParser
from hounsfield.dicomweb.negotiation import DICOM, MULTIPART, MediaRange, content_type
from hounsfield.dicomweb.store_response import store_response
from hounsfield.gate.threads import in_thread
from hounsfield.imaging.errors import BusyError
from hounsfield.imaging.ingest import IngestContext
from hounsfield.imaging.receiving import (
    FailureReason,
    ReceivedFile,
    ReceivedResult,
    Receiver,
    StoreFailure,
    commit_received,
    discard_received,
)
from hounsfield.storage.identifiers import new_id
from hounsfield.storage.spool import SpooledFile, SpoolWriter

FILES_PER_BATCH = 16
BYTES_PER_BATCH = 8 * 1024 * 1024
MOST_PARTS = 50_000
_BUSY_TRIES = 20
_BUSY_SECONDS = 0.25


async def store(call: Call, body: AsyncIterator[bytes]) -> WireResponse:
    """Store the instances of a request (operations StoreDICOM and StoreDICOMStudy).

    Raises
    ------
    ValidationException
        The body is not multipart, has no parts, or too many.
    UnsupportedMediaTypeException
        It is of a media type that is not stored.
    BusyError
        An image set that the instances belong to stayed locked.
    """
    call.only()
    given = content_type(call.headers.get("content-type", ""))
    if given.kind not in {DICOM, MULTIPART}:
        raise UnsupportedMediaTypeException(
            f'Content-Type must be {DICOM} or {MULTIPART}; type="{DICOM}", it is {given.kind[:64]}.'
        )
    if given.is_multipart and given.part_kind not in {DICOM, "*/*"}:
        raise UnsupportedMediaTypeException(f'The parts must be of type="{DICOM}", not {given.part_kind[:64]}.')
    context = await in_thread(partial(call.context.receiver.context, call.datastore_id))
    request = _StoreRequest(call, context)
    try:
        await _take_parts(request, given, body)
        results = await request.results()
        committed = await _commit(call, context, results)
    except BaseException:
        await request.abandon()
        raise
    finally:
        request.forget()
    return store_response(call, results, committed)


async def _take_parts(request: _StoreRequest, given: MediaRange, body: AsyncIterator[bytes]) -> None:
    if not given.is_multipart:
        await request.begin({"content-type": DICOM})
        async for chunk in body:
            await request.write(chunk)
        await request.end()
        return
    parser = PartParser(given.parameters.get("boundary"))
    async for chunk in body:
        for event in parser.feed(chunk):
            if isinstance(event, PartBegin):
                await request.begin(event.headers)
            elif isinstance(event, PartData):
                await request.write(event.data)
            else:
                await request.end()
    parser.finish()


async def _commit(call: Call, context: IngestContext, results: list[ReceivedResult]) -> dict[int, bool]:
    """Commit what was staged; gives for each ordinal whether it went to a primary image set."""
    staged = {result.ordinal: result.instance for result in results if result.instance is not None}
    if not staged:
        return {}
    archive = call.context.archive
    store_id = new_id()
    for attempt in range(_BUSY_TRIES):
        try:
            destinations = await in_thread(partial(commit_received, archive, context, staged, store_id))
            break
        except BusyError:
            if attempt == _BUSY_TRIES - 1:
                raise
            await asyncio.sleep(_BUSY_SECONDS)
    return {ordinal: d.is_primary for d in destinations for ordinal in (*d.ordinals, *d.superseded)}


class _StoreRequest:
    """The parts of one request on their way through the workers."""

    def __init__(self, call: Call, context: IngestContext) -> None:
        self._receiver: Receiver = call.context.receiver
        self._slots = call.context.store_slots
        self._folder: Path = call.context.spool
        self._archive = call.context.archive
        self._study_uid = call.labels.get("study")
        self._context = context
        self._writer: SpoolWriter | None = None
        self._ordinal = 0
        self._batch: list[ReceivedFile] = []
        self._batch_bytes = 0
        self._running: list[asyncio.Task[list[ReceivedResult]]] = []
        self._refused: list[ReceivedResult] = []
        self._files: list[SpooledFile] = []

    async def begin(self, headers: dict[str, str]) -> None:
        """Begin a part."""
        if self._ordinal >= MOST_PARTS:
            raise ValidationException(f"A request may have at most {MOST_PARTS} parts.")
        kind = content_type(headers["content-type"]).kind if headers.get("content-type") else DICOM
        if kind == DICOM:
            self._writer = SpoolWriter(self._folder)
            return
        message = f"The part is of type {kind[:64]}, it must be {DICOM}"
        failure = StoreFailure(FailureReason.CANNOT_UNDERSTAND, message)
        self._refused.append(ReceivedResult(self._ordinal, failure=failure))

    async def write(self, data: bytes) -> None:
        """Take content of the part."""
        if self._writer is None:
            return
        self._writer.write(data)
        if self._writer.full:
            await run_in_threadpool(self._writer.flush)

    async def end(self) -> None:
        """End the part, and hand in the batch when it is full."""
        ordinal = self._ordinal
        self._ordinal += 1
        if self._writer is None:
            return
        content = self._writer.finish()
        self._writer = None
        self._files.append(content)
        self._batch.append(ReceivedFile(ordinal, content))
        self._batch_bytes += content.size
        if len(self._batch) >= FILES_PER_BATCH or self._batch_bytes >= BYTES_PER_BATCH:
            await self._hand_in(self._batch)

    async def results(self) -> list[ReceivedResult]:
        """Wait for all parts, of which the last has arrived; in their order."""
        if not self._ordinal:
            raise ValidationException(f"The body has no parts, so there is nothing to store; send {DICOM} parts.")
        last, self._batch = self._batch, []
        share = -(-len(last) // self._receiver.processes) if last else 1
        for start in range(0, len(last), share):
            await self._hand_in(last[start : start + share])
        done = [result for task in self._running for result in await task]
        return sorted([*done, *self._refused], key=lambda result: result.ordinal)

    async def _hand_in(self, batch: list[ReceivedFile]) -> None:
        files = tuple(batch)
        if batch is self._batch:
            self._batch, self._batch_bytes = [], 0
        await self._slots.acquire()
        try:
            executor, future = await run_in_threadpool(self._receiver.submit, self._context, files, self._study_uid)
        except BaseException:
            self._slots.release()
            raise
        self._running.append(asyncio.create_task(self._outcome(executor, future, files)))

    async def _outcome(
        self, executor: Executor, future: Future[list[ReceivedResult]], files: tuple[ReceivedFile, ...]
    ) -> list[ReceivedResult]:
        try:
            return await asyncio.wrap_future(future)
        except BrokenProcessPool:
            return await run_in_threadpool(
                self._receiver.results_alone, executor, self._context, files, self._study_uid
            )
        finally:
            self._slots.release()
            for file in files:
                file.content.forget()

    async def abandon(self) -> None:
        """Leave nothing of a request that is not carried out."""
        done = await asyncio.gather(*self._running, return_exceptions=True)
        staged = [
            result.instance
            for results in done
            if not isinstance(results, BaseException)
            for result in results
            if result.instance is not None
        ]
        with contextlib.suppress(Exception):
            await run_in_threadpool(discard_received, self._archive, self._context, staged)

    def forget(self) -> None:
        """Remove what is spooled."""
        if self._writer is not None:
            self._writer.abort()
        for file in self._files:
            file.forget()
