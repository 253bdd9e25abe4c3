"""A file that DuckDB reads: it has one file read by several threads, each of which seeks and then reads (2.0.0)."""

from __future__ import annotations

import io
import threading
from abc import abstractmethod


class ThreadedFile(io.RawIOBase):
    """A file of a known size that is only read; each thread has a place of its own in it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._thread = threading.local()

    @abstractmethod
    def read_at(self, place: int, count: int) -> bytes:
        """So many bytes from there on; fewer at the end, or where no more come at once."""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The place of this thread."""
        place: int = getattr(self._thread, "place", 0)
        return place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the place of this thread."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        self._thread.place = begin + offset
        return self.tell()

    def read(self, size: int | None = -1) -> bytes:
        """So many bytes from the place of this thread on, or all that are left."""
        rest = max(self._size - self.tell(), 0)
        count = rest if size is None or size < 0 else min(size, rest)
        parts: list[bytes] = []
        while count:
            data = self.read_at(self.tell(), count)
            if not data:
                break  # it was cut meanwhile
            parts.append(data)
            count -= len(data)
            self._thread.place = self.tell() + len(data)
        return b"".join(parts)
