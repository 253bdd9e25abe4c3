"""A StatsD server: a UDP socket, and the metrics that came there."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import NamedTuple

_LINE = re.compile(r"([^,:]+)((?:,[^=,:]+=[^,:]*)*):([-+0-9.]+)\|(c|ms|g)")


class Sample(NamedTuple):
    """One value of a metric."""

    name: str
    tags: Mapping[str, str]
    value: float
    kind: str


class StatsListener:
    """Keeps what comes to its port."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._lines: list[str] = []
        self._thread = Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while data := self._socket.recv(65536):
            self._lines += data.decode().splitlines()

    @property
    def samples(self) -> list[Sample]:
        """The samples of our metrics, in their order; without the prefix of Airflow."""
        samples: list[Sample] = []
        for line in list(self._lines):
            match = _LINE.match(line.removeprefix("airflow."))
            if match and match[1].startswith("reloads."):
                tags = dict(pair.split("=", 1) for pair in match[2].split(",")[1:])
                samples.append(Sample(match[1], tags, float(match[3]), match[4]))
        return samples

    def total(self, name: str, **tags: str) -> float:
        """The sum of a counter over all samples that have these tags."""
        return sum(each.value for each in self.samples if each.name == name and tags.items() <= each.tags.items())

    def last(self, name: str, **tags: str) -> float | None:
        """The last value of a gauge with these tags."""
        values = [each.value for each in self.samples if each.name == name and tags.items() <= each.tags.items()]
        return values[-1] if values else None

    def close(self) -> None:
        """End it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


@contextmanager
def stats_listener() -> Iterator[StatsListener]:
    """A listener until the end."""
    listener = StatsListener()
    try:
        yield listener
    finally:
        listener.close()
