"""The interface that stacks listen on."""

from __future__ import annotations

import socket

from stack.loopback import HOST, is_port_free


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        assert not is_port_free(server.getsockname()[1])
