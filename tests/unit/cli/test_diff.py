"""``reloads diff``: what a person reads of two versions of a day, and the same as JSON."""

from __future__ import annotations

from datetime import date

import pytest

from tests.support.chain import Chain
from tests.support.command_line import Printed, call
from tests.support.undo_history import deliver, reload

FIRST = "2025-01-01"


@pytest.fixture
def changed(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """A day of which one row was removed, one added and one changed, if its amounts tell its rows apart."""
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    chain.define("t", "select day, amount, amount // 10 as shop from raw", 'order_by = ["shop"]')
    deliver(chain, FIRST, 10, 20, 30)
    reload(chain, "t", FIRST)
    deliver(chain, FIRST, 10, 21, 40)
    reload(chain, "t", FIRST)
    return chain


def diff(*arguments: str, width: int | None = None) -> Printed:
    return call("diff", "t", FIRST, *arguments, width=width)


@pytest.mark.usefixtures("changed")
def test_it_counts_and_shows_the_rows_of_each_kind() -> None:
    printed = diff(width=100)
    assert printed.code == 0
    assert "1 added, 1 removed, 1 changed" in printed.out
    assert "amount: 20 → 21" in printed.out
    assert "amount: 1 row" in printed.out
    assert [line.split() for line in printed.lines if line.startswith(("added ", "removed "))][1::2] == [
        ["added", "40", "4", FIRST],
        ["removed", "30", "3", FIRST],
    ]


@pytest.mark.usefixtures("changed")
def test_the_document_holds_the_same_numbers() -> None:
    value = diff("--json").json
    assert value["rows"] == {"added": 1, "removed": 1, "changed": 1}
    assert value["changes_by_column"] == {"amount": 1}
    assert (value["before"]["version"], value["after"]["version"]) == (1, None)
    assert value["examples"]["changed"] == [
        {"row": {"shop": "2"}, "before": {"amount": "20"}, "after": {"amount": "21"}}
    ]
    assert date.fromisoformat(value["day"]) == date(2025, 1, 1)


@pytest.mark.usefixtures("changed")
def test_numbers_name_versions_and_equal_ones_hold_the_same() -> None:
    assert diff("0", "1", "--json").json["rows"]["added"] == 3
    assert "both versions hold the same" in diff("2").out


@pytest.mark.usefixtures("changed")
def test_where_nothing_tells_rows_apart_it_says_how_to() -> None:
    changed = diff("--by", "day, shop", "--json").json
    assert changed["by"] == ["day", "shop"]
    printed = call("diff", "t", FIRST, "--by", "amount", "--json")
    assert printed.json["rows"] == {"added": 2, "removed": 2, "changed": 0}


@pytest.mark.usefixtures("changed")
@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["9"], 1, "reloads: 9 is not a version of t, whose last one is 2"),
        (["one"], 1, "reloads: 'one' is not the number of a version; reloads history t lists them"),
        (["--by", "nothing"], 1, "reloads: 'nothing' is not a column of both versions; they share"),
    ],
)
def test_a_wrong_call_is_one_sentence(arguments: list[str], code: int, sentence: str) -> None:
    printed = diff(*arguments)
    assert (printed.out, printed.code, len(printed.err.splitlines())) == ("", code, 1)
    assert printed.err.startswith(sentence)


def test_history_lists_the_numbers_and_who_asked(changed: Chain) -> None:
    changed.ask("t", FIRST, requested_by="ada", parameters={})
    deliver(changed, FIRST, 50)
    changed.run("t")
    versions = call("history", "t", FIRST, "--json").json["versions"]
    assert [version["number"] for version in versions] == [0, 1, 2, 3]
    assert "(ada)" in call("history", "t", FIRST).lines[-2]
