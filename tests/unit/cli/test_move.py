"""``reloads rename`` and ``reloads drop``: what they say, and that nothing goes unless somebody said so."""

from __future__ import annotations

import pytest

from reloads.runs.drop_table import dropped_tables
from tests.support.chain import NOW, Chain
from tests.support.command_line import Printed, call
from tests.support.undo_history import reload


@pytest.fixture
def loaded(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Chain:
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    chain.define("t", "select day, amount from raw")
    reload(chain, "t", "2025-01-01", "2025-01-03")
    return chain


def run(*arguments: str, width: int | None = None) -> Printed:
    return call(*arguments, width=width, clock=lambda: NOW)


def test_a_rename_says_what_the_table_is_called_now(loaded: Chain) -> None:
    assert run("rename", "t", "better").lines[0] == "t is better now"
    assert (loaded.settings.warehouse / "better" / "day=2025-01-01").is_dir()
    assert run("rename", "t", "better").err == "reloads: table 't' is unknown; known tables are better, a, b, c, d\n"


@pytest.mark.parametrize("options", [(), ("--json",), ("--purge",)])
def test_without_a_person_to_ask_nothing_is_dropped(loaded: Chain, options: tuple[str, ...]) -> None:
    printed = run("drop", "t", *options)
    assert printed.code == 1
    assert "drop asks first, and nobody is here to answer; add --yes" in printed.out + printed.err
    assert (loaded.settings.warehouse / "t").is_dir()


def test_a_drop_says_how_much_went_until_when_and_how_it_comes_back(loaded: Chain) -> None:
    printed = run("drop", "t", "--yes", "--json")
    assert (printed.json["partitions"], printed.json["keep_until"]) == (3, "2025-02-07T12:00:00+00:00")
    assert not (loaded.settings.warehouse / "t").exists()
    assert run("drop", "t", "--undo").lines == ["t is back as it was"]
    assert (loaded.settings.warehouse / "t" / "day=2025-01-01").is_dir()
    words = run("drop", "t", "--yes").out
    assert "put away 3 partitions and " in words
    assert "reloads drop t --undo" in words


def test_a_purge_keeps_nothing(loaded: Chain) -> None:
    assert run("drop", "t", "--yes", "--purge").lines[0].startswith("removed 3 partitions and ")
    assert dropped_tables(loaded.settings) == []
    assert not list(loaded.settings.home.rglob("t@*"))
    assert run("drop", "t", "--undo").err == "reloads: no dropped table 't' is kept; load it anew\n"
