"""``reloads status`` finds a request by what a person knows of it, and says what keeps the rest from moving."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reloads.days import Days
from reloads.requests.paused_tables import note_paused
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Settings
from tests.support.command_line import call

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
DAYS = Days.parse(["2024-01-01"])
IDS = ("march-sales-0123456789ab", "march-visits-0123456789ab", "may-sales-0123456789ab")


@pytest.fixture
def landing(sales_settings: Settings, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drop folder with three open requests."""
    monkeypatch.setenv("RELOADS_HOME", str(sales_settings.home))
    for record_id in IDS:
        table = record_id.split("-")[1]
        record = Record(
            id=record_id, mode="landing", table=table, days=DAYS, accepted_at=NOW, file=f"{record_id[:5]}.json"
        )
        queue.add(record.model_copy(update={"file": f"{record_id[:5]}.json"}))
    return sales_settings.landing


@pytest.mark.parametrize("name", ["may", "may-sales", IDS[2], f"{IDS[2]}.json"])
def test_a_request_is_found_by_its_id_its_beginning_and_the_name_of_its_file(landing: Path, name: str) -> None:
    assert landing.is_dir()
    assert call("status", name, "--json").json["id"] == IDS[2]


def test_a_beginning_of_several_ids_names_them(landing: Path) -> None:
    assert landing.is_dir()
    told = call("status", "march-")
    assert told.code == 1
    assert told.err == (
        "reloads: 'march-' is how 2 requests begin: march-sales-0123456789ab, march-visits-0123456789ab; "
        "write more of the one you mean\n"
    )


@pytest.mark.parametrize("command", ["cancel", "logs"])
def test_every_command_takes_the_beginning_of_an_id(landing: Path, command: str) -> None:
    assert landing.is_dir()
    assert IDS[2] in call(command, "may").out


def test_a_dropped_file_that_nobody_took_is_in_the_list(landing: Path) -> None:
    (landing / "new.json").write_text("{}")
    assert any(line.startswith("dropped\tnew.json\t") for line in call("status").lines)
    assert call("status", "--json").json["dropped"] == ["new.json"]


def test_with_work_left_and_nobody_at_work_a_sentence_says_so_and_since_when(landing: Path) -> None:
    assert call("status").lines[-1].startswith("Airflow was never heard of here, so nobody may be at work; start it")
    now = datetime.now(UTC)
    note_paused(landing, (), now=now)
    assert "Airflow" not in call("status").out
    later = call("status", clock=lambda: now + timedelta(hours=1), zone=UTC).lines[-1]
    assert later.startswith(f"Airflow was heard of last at {now:%Y-%m-%d %H:%M:%S} UTC, so nobody may be at work;")


def test_with_nothing_left_nobody_has_to_be_at_work(sales_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELOADS_HOME", str(sales_settings.home))
    assert call("status").lines == ["no requests yet; ask with: reloads request TABLE FIRST [LAST]"]


def test_a_folder_that_is_not_a_project_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELOADS_HOME", str(tmp_path))
    told = call("status")
    sentence = f"{tmp_path} has no landing and no tables, so it is not a project; set RELOADS_HOME, or go to its folder"
    assert (told.code, told.err) == (2, f"reloads: {sentence}\n")


def test_times_are_in_the_zone_of_the_person_and_in_utc_as_json(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert landing.is_dir()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert "2024-07-01 21:00:00 JST" in call("status", "may").out
        assert call("status", "--json").json["requests"][0]["accepted_at"] == "2024-07-01T12:00:00+00:00"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_request_file_is_dropped_in_the_name_of_who_asks(
    landing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    asked = {"table": ["sales", "visits"], "start_date": "2024-02-01", "reason": "two tables"}
    (tmp_path / "mine.json").write_text(json.dumps(asked))
    told = call("request", str(tmp_path / "mine.json"), "--json").json
    assert told["requests"] == [{"tables": ["sales", "visits"], "days": ["2024-02-01"]}]
    assert json.loads((landing / told["file"]).read_text()) == [asked | {"requested_by": "ada"}]
    assert json.loads((tmp_path / "mine.json").read_text()) == asked
    (tmp_path / "mine.json").write_text(json.dumps(asked | {"requested_by": "bob"}))
    told = call("request", str(tmp_path / "mine.json"), "--json").json
    assert json.loads((landing / told["file"]).read_text()) == [asked | {"requested_by": "bob"}]


@pytest.mark.parametrize("command", ["plan", "request", "run"])
def test_a_table_without_days_is_told_apart_from_a_file_that_is_not_there(landing: Path, command: str) -> None:
    assert landing.is_dir()
    assert "which of its days is not said; write them: sales 2024-01-01 [LAST]" in call(command, "sales").err
    assert "table 'sals' is unknown; known tables are sales" in call(command, "sals").err
    assert "sales.json does not exist" in call(command, "sales.json").err
