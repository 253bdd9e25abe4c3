"""A gate holds whoever reads a source file, for as long as a test needs a task to be in the middle of a rewrite."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.pipeline import Pipeline


class Gate:
    """While it is closed the source file is a named pipe without data, so its reader waits.

    What the file holds makes no difference to the query, since two readers of one pipe would share it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._writer = -1

    def close(self) -> None:
        pipe = self._file.with_suffix(".pipe")
        os.mkfifo(pipe)
        pipe.replace(self._file)

    def has_reader(self) -> bool:
        """Whether a reader is held; from then on it waits until the gate is opened."""
        if self._writer < 0:
            try:
                self._writer = os.open(self._file, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
        return self._writer >= 0

    def open(self) -> None:
        """Let everybody pass, now and later."""
        # Whoever is about to open the file gets the plain one; whoever opened the pipe reads its end.
        plain = self._file.with_suffix(".plain")
        plain.write_text("1\n")
        pipe = os.open(self._file, os.O_RDWR | os.O_NONBLOCK)
        plain.replace(self._file)
        os.close(pipe)
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1


@contextmanager
def closed_gate(pipeline: Pipeline, table: str) -> Iterator[Gate]:
    """Hold whoever rewrites the table until the block ends or the gate is opened."""
    gate = Gate(pipeline.source / "gates" / f"{table}.csv")
    gate.close()
    try:
        yield gate
    finally:
        gate.open()


def wait_for_held_task(pipeline: Pipeline, gate: Gate) -> None:
    pipeline.wait_for("a task in the middle of a rewrite", gate.has_reader)
