"""A file that several threads read: each gets what lies at the place that it looked for."""

from __future__ import annotations

import io
import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from reloads.threaded_file import ThreadedFile

DATA = bytes(random.Random(5).randbytes(10_000))


class InMemory(ThreadedFile):
    """Gives at most a hundred bytes at once."""

    def read_at(self, place: int, count: int) -> bytes:
        return DATA[place : place + min(count, 100)]


def test_two_threads_that_seek_before_either_reads_read_what_they_looked_for() -> None:
    file, both_have_sought = InMemory(len(DATA)), Barrier(2)

    def look(place: int) -> bytes:
        file.seek(place)
        both_have_sought.wait()
        return file.read(500)

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(look, (0, 7000))) == [DATA[:500], DATA[7000:7500]]


@pytest.mark.parametrize("whence", [io.SEEK_SET, io.SEEK_CUR, io.SEEK_END])
def test_it_is_read_as_any_other_file(whence: int) -> None:
    file, other = InMemory(len(DATA)), io.BytesIO(DATA)
    offset = -300 if whence == io.SEEK_END else 300
    assert file.read(20) == other.read(20)
    assert file.seek(offset, whence) == other.seek(offset, whence)
    assert file.read(250) == other.read(250)
    assert file.tell() == other.tell()
    assert file.read() == other.read()
    assert file.read(10) == b""


def test_a_file_that_was_cut_meanwhile_ends() -> None:
    assert InMemory(len(DATA) + 5000).read() == DATA
