"""Real blobs in a process that dies at a chosen step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hounsfield.storage.blobs.blobs import Blobs, BlobWriter


class KilledError(BaseException):
    """Stands for the end of the process."""


class MortalBlobs:
    """Real blobs, in a process that dies before or after its n-th step."""

    def __init__(self, blobs: Blobs, step: Callable[[Callable[[], Any]], Any]) -> None:
        self._blobs, self._step = blobs, step

    def create(self, name: str) -> BlobWriter:
        writer = self._step(lambda: self._blobs.create(name))
        return MortalWriter(writer, self._step)

    def read(self, name: str, offset: int, length: int) -> bytes:
        return bytes(self._blobs.read(name, offset, length))

    def size(self, name: str) -> int:
        return int(self._step(lambda: self._blobs.size(name)))

    def delete(self, name: str) -> None:
        self._step(lambda: self._blobs.delete(name))

    def names(self, prefix: str) -> Iterator[str]:
        return self._blobs.names(prefix)


class MortalWriter:
    def __init__(self, writer: BlobWriter, step: Callable[[Callable[[], Any]], Any]) -> None:
        self._writer, self._step = writer, step

    def write(self, data: bytes) -> None:
        self._step(lambda: self._writer.write(data))

    def mark(self) -> None:
        self._writer.mark()

    def rewind(self) -> None:
        self._writer.rewind()

    def publish(self) -> None:
        self._step(self._writer.publish)

    def abort(self) -> None:
        """A process that is gone aborts nothing."""


class Mortality:
    """Counts steps and dies at one of them: even numbers before it is made, odd ones after."""

    def __init__(self, moment: int | None) -> None:
        self.moment, self.count = moment, 0

    def __call__(self, step: Callable[[], Any]) -> Any:
        self._maybe_die()
        result = step()
        self._maybe_die()
        return result

    def _maybe_die(self) -> None:
        if self.count == self.moment:
            raise KilledError
        self.count += 1
