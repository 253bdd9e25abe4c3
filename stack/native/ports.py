"""The ports of one stack: free ones, all on the loopback interface, the same as last time if possible."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from itertools import chain
from pathlib import Path

from stack.errors import StackError
from stack.files import write_private
from stack.loopback import HOST

TRIES = 1000


@dataclass(frozen=True)
class Ports:
    """Where each server listens; the defaults are where the search for a free one begins."""

    api: int = 8080
    database: int = 15432
    supervisor: int = 19001

    @classmethod
    def kept_in(cls, path: Path) -> Ports:
        """Those of the last start; the defaults where there was none."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls()

    def keep_in(self, path: Path) -> None:
        """Write them down for the next command."""
        write_private(path, json.dumps(asdict(self)) + "\n")


def choose_ports(previous: Ports, *, is_free: Callable[[int], bool]) -> Ports:
    """The previous ports if they are free; else the next three, as many above the defaults each.

    In step, so that of two stacks that start at once the one that gets supervisor's port, the first to be taken, gets
    the others too.
    """
    steps = (Ports(*(port + step for port in astuple(Ports()))) for step in range(TRIES))
    for ports in chain([previous], steps):
        if all(map(is_free, astuple(ports))):
            return ports
    raise StackError(f"none of the ports {Ports().api} to {Ports().api + TRIES - 1} is free on {HOST}; free one")
