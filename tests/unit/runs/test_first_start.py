"""The first start over the warehouse of an earlier release: whoever comes first takes it over, before anything else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reloads.inspection.preview import preview
from reloads.inspection.sql_views import open_views
from reloads.inspection.verify import verify
from reloads.requests.request import parse_request
from reloads.runs.local_run import run_locally
from reloads.runs.undo import undo_request
from tests.support.chain import NOW, Chain

First = Callable[[Chain], object]
FIELDS = {"table": "a", "start_date": "2025-01-02"}


def run_here(chain: Chain) -> None:
    run_locally(chain.settings, parse_request(FIELDS))


def undo(chain: Chain) -> None:
    [done] = chain.queue.records("done")
    undo_request(chain.settings, done.id, force=False, now=NOW)


def look_ahead(chain: Chain) -> None:
    preview(chain.settings, parse_request(FIELDS), now=NOW)


def look_at_all(chain: Chain) -> None:
    open_views(chain.settings).close()


@pytest.mark.parametrize(
    "come",
    [
        pytest.param(lambda chain: chain.rewrite("b", chain.plan("b")), id="rewrite"),
        pytest.param(lambda chain: chain.settle("b", [], []), id="settle"),
        pytest.param(run_here, id="run"),
        pytest.param(undo, id="undo"),
        pytest.param(look_ahead, id="plan"),
        pytest.param(look_at_all, id="sql"),
        pytest.param(lambda chain: list(verify(chain.settings)), id="verify"),
    ],
)
def test_whoever_comes_first_takes_over_what_an_earlier_release_left(chain: Chain, come: First) -> None:
    chain.ask("a", "2025-01-01", cascade=False)
    chain.run("a")
    chain.ask("b", "2025-01-01", cascade=False)
    old = chain.settings.warehouse / ".ledger" / "a.json"
    old.parent.mkdir()
    old.write_text('{"entries": {}}')
    come(chain)
    assert not old.exists()
    assert (chain.settings.warehouse / ".before_log" / "a" / "ledger.json").read_text() == '{"entries": {}}'
