"""STOW-RS: StoreDICOM and StoreDICOMStudy (PS3.18 section 10.5).

    body ─▶ parts ─▶ spooled files ─▶ shares of batches ─▶ worker processes ─▶ results ─▶ body proven ─▶ one commit ─▶ answer

The workers begin while the rest still arrives. How much is under way at once is bounded, so a client that sends faster than
frames can be encoded waits. What several requests have waiting makes a batch (`hounsfield.imaging.ingest.scheduler`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from hounsfield.api.dicomweb.content_negotiation import DICOM, MULTIPART, MediaRange, content_type
from hounsfield.api.dicomweb.multipart import PartBegin, PartData, PartParser
from hounsfield.api.dicomweb.request import Call
from hounsfield.api.dicomweb.stow_response import answer_form, store_response
from hounsfield.aws.protocol.errors import UnsupportedMediaTypeException, ValidationException
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.imaging.ingest.context import IngestContext
from hounsfield.imaging.ingest.files import Failure, FailureReason, FileResult, InputFile, Share, list_staged
from hounsfield.imaging.ingest.scheduler import (
    BYTES_PER_BATCH,
    FILES_PER_BATCH,
    IngestScheduler,
    Results,
    ScheduledShare,
)
from hounsfield.imaging.receive.receiver import Receiver
from hounsfield.imaging.receive.store_transaction import StoreOutcome
from hounsfield.storage.blobs.spool import SpooledFile, SpoolWriter

MOST_PARTS = 50_000


async def store(call: Call, body: AsyncIterator[bytes]) -> WireResponse:
    """Store the instances of a request (operations StoreDICOM and StoreDICOMStudy).

    Raises
    ------
    ValidationException
        The body is not multipart, has no parts, or too many.
    UnsupportedMediaTypeException
        It is of a media type that is not stored.
    NotAcceptableError
        The client accepts none of the forms of the answer.
    BusyError
        An image set that the instances belong to stayed locked.
    DiskTroubleError
        The disk is to take no more.
    """
    call.only()
    form = answer_form(call)
    _check_encoding(call.headers.get("content-encoding", ""))
    given = content_type(call.headers.get("content-type", ""))
    if given.kind not in {DICOM, MULTIPART}:
        raise UnsupportedMediaTypeException(
            f'Content-Type must be {DICOM} or {MULTIPART}; type="{DICOM}", it is {given.kind[:64]}.'
        )
    if given.is_multipart and given.part_kind not in {DICOM, "*/*"}:
        raise UnsupportedMediaTypeException(f'The parts must be of type="{DICOM}", not {given.part_kind[:64]}.')
    receiver = call.context.receiver
    context = receiver.recent_context(call.datastore_id)
    if context is None:
        context = await call.threads.run(partial(receiver.context, call.datastore_id))
    request = _StoreRequest(call, context)
    try:
        await _take_parts(request, given, body)
        with receiver.expecting(call.threads.caller):
            results = await request.results()
    except BaseException:
        await request.abandon()
        raise
    finally:
        request.forget()
    return store_response(call, form, *await _commit(call, context, results))


def _check_encoding(given: str) -> None:
    """Refuse a body that is compressed; aws-chunked is taken off before it comes here."""
    codings = {coding.strip().lower() for coding in given.split(",")} - {"", "identity", "aws-chunked"}
    if codings:
        raise UnsupportedMediaTypeException(
            f"Content-Encoding {', '.join(sorted(codings))[:64]} is not supported: send the body as it is.",
            [("Accept-Encoding", "identity")],
        )


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


async def _commit(
    call: Call, context: IngestContext, results: list[FileResult]
) -> tuple[list[FileResult], Mapping[int, bool]]:
    """Commit what was staged; gives what became of each part, and whether it went to a primary image set."""
    staged = {result.ordinal: result.instance for result in results if result.instance is not None}
    if not staged:
        return results, {}
    outcome = await asyncio.wrap_future(call.context.receiver.commit(context, call.access, call.threads.caller, staged))
    return [_refused(result, outcome) for result in results], outcome.primary


def _refused(result: FileResult, outcome: StoreOutcome) -> FileResult:
    """Let an instance fail that its image set has no room for, or that the caller may not put into it."""
    refusal = outcome.refused.get(result.ordinal)
    if refusal is None or result.instance is None:
        return result
    instance = result.instance
    failure = Failure(refusal.reason, refusal.message, instance.sop_uid, instance.sop_class_uid)
    return FileResult(result.ordinal, failure=failure)


class _StoreRequest:
    """The parts of one request on their way through the workers."""

    def __init__(self, call: Call, context: IngestContext) -> None:
        self._receiver: Receiver = call.context.receiver
        self._scheduler: IngestScheduler = call.context.scheduler
        self._folder: Path = call.context.spool
        self._free_space = call.context.image_store.free_space
        self._study_uid = call.labels.get("study")
        self._context = context
        self._caller = call.threads.caller
        self._writer: SpoolWriter | None = None
        self._ordinal = 0
        self._batch: list[InputFile[SpooledFile]] = []
        self._batch_bytes = 0
        self._given: list[Results] = []
        self._refused: list[FileResult] = []
        self._held: dict[int, SpooledFile] = {}

    async def begin(self, headers: dict[str, str]) -> None:
        """Begin a part."""
        if self._ordinal >= MOST_PARTS:
            raise ValidationException(f"A request may have at most {MOST_PARTS} parts.")
        kind = content_type(headers["content-type"]).kind if headers.get("content-type") else DICOM
        if kind == DICOM:
            self._free_space.require()
            self._writer = SpoolWriter(self._folder)
            return
        message = f"The part is of type {kind[:64]}, it must be {DICOM}"
        failure = Failure(FailureReason.CANNOT_UNDERSTAND, message)
        self._refused.append(FileResult(self._ordinal, failure=failure))

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
        self._held[ordinal] = content
        self._batch.append(InputFile(ordinal, content))
        self._batch_bytes += content.size
        if len(self._batch) >= FILES_PER_BATCH or self._batch_bytes >= BYTES_PER_BATCH:
            share, self._batch, self._batch_bytes = self._share(self._batch), [], 0
            await self._give(share).begun

    async def results(self) -> list[FileResult]:
        """Wait for all parts, of which the last has arrived; in their order."""
        if not self._ordinal:
            raise ValidationException(f"The body has no parts, so there is nothing to store; send {DICOM} parts.")
        last, self._batch = self._batch, []
        count = -(-len(last) // self._receiver.workers.processes) if last else 1
        for start in range(0, len(last), count):
            self._give(self._share(last[start : start + count]))
        # Whoever stops waiting does not stop the batch, in which others are too.
        done = [result for given in self._given for result in await asyncio.shield(given)]
        return sorted([*done, *self._refused], key=lambda result: result.ordinal)

    def _share(self, files: list[InputFile[SpooledFile]]) -> Share:
        return Share(tuple(files), self._study_uid)

    def _give(self, share: Share) -> ScheduledShare:
        given = self._scheduler.submit(self._caller, self._context, share)
        ordinals = [file.ordinal for file in share.files]
        given.results.add_done_callback(lambda _: self._forget(ordinals))
        self._given.append(given.results)
        return given

    def _forget(self, ordinals: list[int]) -> None:
        for ordinal in ordinals:
            # Also what is in memory: a request is larger than all that is worked on at a time.
            self._held.pop(ordinal).forget()

    async def abandon(self) -> None:
        """Leave nothing of a request that is not carried out."""
        self._scheduler.withdraw(self._given)
        done = await asyncio.gather(*self._given, return_exceptions=True)
        staged = [one for results in done if not isinstance(results, BaseException) for one in list_staged(results)]
        with contextlib.suppress(Exception):
            await run_in_threadpool(self._receiver.discard, self._context, staged)

    def forget(self) -> None:
        """Remove what is spooled."""
        if self._writer is not None:
            self._writer.abort()
        for content in self._held.values():
            content.forget()
