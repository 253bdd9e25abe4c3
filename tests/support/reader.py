"""A reader who looks at published files all the while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import duckdb

Look = Callable[[duckdb.DuckDBPyConnection], Iterable[object]]
"""Reads published files and gives what is not as it should be."""
Config = dict[str, str | bool | int | float | list[str]]


class Reader(threading.Thread):
    """Takes one look after the other, in turn, until it is stopped. A file that cannot be read is an oddity too."""

    def __init__(self, looks: list[Look], *, config: Config, pause_seconds: float) -> None:
        super().__init__(name="reader")
        self.looks_taken = 0
        self.oddities: list[object] = []
        self._looks = looks
        self._config = config
        self._pause_seconds = pause_seconds
        self._is_stopped = threading.Event()

    def run(self) -> None:
        with duckdb.connect(config={"threads": 1, **self._config}) as connection:
            while True:
                for look in self._looks:
                    if self._is_stopped.wait(self._pause_seconds):
                        return
                    try:
                        self.oddities += look(connection)
                    except Exception as error:  # noqa: BLE001 - whichever library it is that cannot read
                        self.oddities.append(f"{type(error).__name__}: {error}")
                    self.looks_taken += 1

    def stop(self) -> None:
        self._is_stopped.set()
        self.join()


@contextmanager
def reading(*looks: Look, config: Config | None = None, pause_seconds: float = 0.005) -> Iterator[Reader]:
    """A reader who takes these looks as long as the block lasts, with these options of DuckDB."""
    reader = Reader(list(looks), config=config or {}, pause_seconds=pause_seconds)
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()
