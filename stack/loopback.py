"""The interface that everything of a stack listens on, and its ports."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


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
