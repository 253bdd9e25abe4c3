"""The ports of one stack: free ones, all on the loopback interface, the same as last time if possible."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from itertools import chain
from pathlib import Path

from local.errors import LocalError
from local.files import write_private

HOST = "127.0.0.1"
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
    raise LocalError(f"none of the ports {Ports().api} to {Ports().api + TRIES - 1} is free on {HOST}; free one")


def is_port_free(port: int) -> bool:
    """Whether nobody listens there and a server may."""
    with socket.socket() as server:
        # As servers do: without it, connections of a stack that has just ended would make its port look taken.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError:
            return False
    with socket.socket() as client:
        # macOS lets two servers bind when only one of them names the interface.
        client.settimeout(1)
        return client.connect_ex((HOST, port)) != 0
