"""Who gets which messages: the URLs of the settings all, and those that a table names its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from reloads.runs.messages import Message
from reloads.runs.receivers import Receivers
from reloads.settings import Event, Settings
from reloads.tables.catalog import Catalog
from tests.conftest import define_table

QUERY = "select date '2024-01-01' as day, 1 as n"
NAMED = {"RELOADS_NOTIFY_TEAM": "json://team", "RELOADS_NOTIFY_BOSS": "json://boss"}


def receivers(home: Path, **variables: str) -> Receivers:
    define_table(home / "tables", "plain", QUERY)
    define_table(home / "tables", "own", QUERY, 'notify = ["TEAM", "TEAM", "GONE"]')
    define_table(home / "tables", "quiet", QUERY, "notify_on = []")
    define_table(home / "tables", "eager", QUERY, 'notify = ["BOSS"]\nnotify_on = ["done", "failed"]')
    environment = {"RELOADS_HOME": str(home), **NAMED, **variables}
    return Receivers.of(
        Settings.from_environment(environment), Catalog.load(home / "tables").tables.values(), environment
    )


def message(table: str | None, *events: Event) -> Message:
    return Message(frozenset(events), table, "failure", "title", "body")


@pytest.mark.parametrize(
    ("table", "event", "names"),
    [
        ("plain", "failed", ["URL 1 of RELOADS_NOTIFY", "URL 2 of RELOADS_NOTIFY"]),
        ("plain", "done", []),
        (None, "rejected", ["URL 1 of RELOADS_NOTIFY", "URL 2 of RELOADS_NOTIFY"]),
        ("own", "late", ["URL 1 of RELOADS_NOTIFY", "URL 2 of RELOADS_NOTIFY", "RELOADS_NOTIFY_TEAM"]),
        ("quiet", "failed", []),
        ("eager", "done", ["URL 1 of RELOADS_NOTIFY", "URL 2 of RELOADS_NOTIFY", "RELOADS_NOTIFY_BOSS"]),
        ("eager", "late", []),
    ],
)
def test_who_gets_a_message(tmp_path: Path, table: str | None, event: Event, names: list[str]) -> None:
    found = receivers(tmp_path, RELOADS_NOTIFY="json://one  json://two")
    assert [receiver.name for receiver in found.of_message(message(table, event))] == names


def test_what_is_wanted_is_what_somebody_gets(tmp_path: Path) -> None:
    assert receivers(tmp_path).events() == {"failed", "refused", "rejected", "late", "done"}
    assert receivers(tmp_path, RELOADS_NOTIFY_ON="late", RELOADS_NOTIFY="json://one").events() == {
        "late",
        "done",
        "failed",
    }


def test_without_a_url_nothing_is_wanted(tmp_path: Path) -> None:
    define_table(tmp_path / "tables", "own", QUERY, 'notify = ["TEAM"]\nnotify_on = ["done"]')
    settings = Settings.from_environment({"RELOADS_HOME": str(tmp_path)})
    found = Receivers.of(settings, Catalog.load(settings.tables).tables.values(), {})
    assert (found.events(), found.all()) == (set(), [])


def test_a_name_that_nobody_set_is_known(tmp_path: Path) -> None:
    assert receivers(tmp_path).unknown["own"] == ("GONE",)


def test_a_url_of_two_names_gets_a_message_once(tmp_path: Path) -> None:
    found = receivers(tmp_path, RELOADS_NOTIFY="json://team")
    assert len(found.of_message(message("own", "failed"))) == 1


def test_no_text_of_them_holds_a_url(tmp_path: Path) -> None:
    assert "//team" not in repr(receivers(tmp_path, RELOADS_NOTIFY="json://team"))
