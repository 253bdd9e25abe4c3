"""One stack for all end-to-end tests: real Airflow processes and PostgreSQL in a temporary home."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.folders import Folders
from local.leftovers import find_leftovers
from local.ports import HOST, Ports
from local.startup import start
from tests.e2e.pipeline import Pipeline
from tests.e2e.tables import lay_out
from tests.janitor import cleaned_up

SETTINGS = {
    "RELOADS_SOURCE": "source",
    "RELOADS_RETRIES": "1",
    "RELOADS_RESCAN_SECONDS": "5",
    # Airflow makes up for the last time at its start; from then on the daily load comes when a test asks for it.
    "RELOADS_DAILY_SCHEDULE": "0 0 29 2 *",
    "RELOADS_CATCH_UP_DAYS": "3",
}

STOP = """
from pathlib import Path
from local.folders import Folders
from local.shutdown import stop
stop(Folders(home=Path(sys.argv[1]), clone=Path(sys.argv[2])))
"""


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    clone = Path(__file__).resolve().parents[2]
    # The blank is deliberate: a home may be called anything.
    folders = Folders(home=tmp_path_factory.mktemp("e2e") / "a home", clone=clone)
    lay_out(folders.home, clone=clone)
    folders.make()
    # Not the default ones, which somebody who starts a stack right now looks for too.
    Ports(*_free_ports(3)).keep_in(folders.local / "ports.json")
    with cleaned_up(STOP, str(folders.home), str(clone)):
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("RELOADS_")]:
                patch.delenv(name)
            for name, value in SETTINGS.items():
                patch.setenv(name, value)
            stack = start(folders, say=print)
        yield Pipeline(stack)
    left = find_leftovers(folders)
    assert not left, f"these processes outlived the stack: {left}"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [int(server.getsockname()[1]) for server in sockets]
    for server in sockets:
        server.close()
    return ports
