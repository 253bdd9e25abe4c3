"""``reloads logs``: the runs of a request and what their tasks wrote, or what is missing and where to look."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reloads.days import Days
from reloads.outcome import Outcome
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Settings
from tests.support.command_line import call

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
DAYS = Days.parse(["2024-01-01..2024-01-02"])
RECORD = Record(id="a-sales-0123456789ab", mode="landing", table="sales", days=DAYS, accepted_at=NOW)
RUN = "asset_triggered__2024-07-01T12:00:00+00:00_x"


@pytest.fixture
def logs(sales_settings: Settings, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log folder of a request whose run ended one of two days."""
    monkeypatch.setenv("RELOADS_HOME", str(sales_settings.home))
    for name in ("AIRFLOW__LOGGING__BASE_LOG_FOLDER", "AIRFLOW__API__BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    queue.add(RECORD)
    settle(queue, "2024-01-01")
    folder = sales_settings.home / ".local" / "airflow" / "logs"
    folder.mkdir(parents=True)
    return folder


def settle(queue: Queue, day: str) -> None:
    queue.settle(RECORD.id, Outcome(published=Days.parse([day])), run=RUN, now=NOW)


def write(folder: Path, place: str, *texts: str, level: str = "info", logger: str = "reloads.runs") -> Path:
    """Add lines to the log of a task, as Airflow writes them."""
    path = folder / "dag_id=rewrite_sales" / f"run_id={RUN}" / place / "attempt=1.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for text in texts:
            line = {"timestamp": NOW.isoformat(), "level": level, "event": text, "logger": logger}
            file.write(json.dumps(line) + "\n")
    return path


def test_the_lines_of_all_tasks_are_shown_in_the_order_of_the_tasks(logs: Path) -> None:
    for place in ("task_id=settle", "task_id=rewrite/map_index=10", "task_id=rewrite/map_index=9", "task_id=plan"):
        write(logs, place, f"said by {place}")
    shown = [line.split("  ") for line in call("logs", "a-sales", zone=UTC).lines if "  " in line]
    assert [line[0] for line in shown] == ["plan", "rewrite[9]", "rewrite[10]", "settle"]
    assert shown[1][1:] == ["2024-07-01 12:00:00 UTC", "info", "said by task_id=rewrite/map_index=9"]


def test_with_a_prefix_the_logs_and_the_links_are_those_of_its_dags(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(logs, "task_id=plan", "of the other deployment")
    path = write(logs, "task_id=settle", "of this one")
    own = logs / "dag_id=shop_rewrite_sales" / path.relative_to(logs / "dag_id=rewrite_sales")
    own.parent.mkdir(parents=True)
    path.rename(own)
    monkeypatch.setenv("RELOADS_PREFIX", "shop_")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.example.org")
    [run] = call("logs", "a-sales", "--json").json["requests"][0]["runs"]
    assert [task["task"] for task in run["tasks"]] == ["settle"]
    assert run["dag"] == "shop_rewrite_sales"
    assert run["url"].startswith("http://airflow.example.org/dags/shop_rewrite_sales/runs/")


def test_what_airflow_says_of_each_task_is_shown_with_all_and_its_errors_always(logs: Path) -> None:
    write(logs, "task_id=plan", "Filling up the DagBag", logger="")
    path = write(logs, "task_id=plan", "Task failed", level="error", logger="task")
    with path.open("a") as file:
        file.write("not JSON\n")
    [task] = call("logs", "a-sales", "--json").json["requests"][0]["runs"][0]["tasks"]
    assert [line["text"] for line in task["lines"]] == ["Task failed", "not JSON"]
    assert "Filling up the DagBag" in call("logs", "a-sales", "--all").out


def test_an_exception_is_one_line_with_its_words(logs: Path) -> None:
    path = write(logs, "task_id=plan")
    detail = [{"exc_type": "TableError", "exc_value": "two\nlines"}]
    line = {"timestamp": NOW.isoformat(), "level": "error", "event": "Task failed", "error_detail": detail}
    path.write_text(json.dumps(line) + "\n")
    assert call("logs", "a-sales").lines[-1].endswith("error  Task failed: TableError: two lines")


def test_without_logs_a_sentence_says_where_they_are(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("logs", "a-sales").lines[-1].endswith("look in Airflow, as a run of rewrite_sales")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.example:8080/")
    run = RUN.replace(":", "%3A").replace("+", "%2B")
    url = f"http://airflow.example:8080/dags/rewrite_sales/runs/{run}"
    assert call("logs", "a-sales").lines[-1].endswith(f"look at {url}")
    assert call("logs", "a-sales", "--json").json["requests"][0]["runs"][0]["url"] == url
    logs.rmdir()
    monkeypatch.setenv("AIRFLOW_HOME", str(logs / "nowhere"))
    assert "set AIRFLOW__LOGGING__BASE_LOG_FOLDER" in call("logs", "a-sales").lines[-1]


def test_the_log_folder_that_airflow_is_told_counts_first(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(logs, "task_id=plan", "of make up")
    told = logs.with_name("told")
    write(told, "task_id=plan", "of Airflow")
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(told))
    assert call("logs", "a-sales").lines[-1].endswith("of Airflow")


def test_a_request_without_a_run_says_so(logs: Path, queue: Queue) -> None:
    assert logs.is_dir()
    queue.add(RECORD.model_copy(update={"id": "b-sales-0123456789ab"}))
    assert "no run has ended a day of it" in call("logs", "b-sales").out


def test_follow_prints_what_is_added_and_ends_with_the_request(logs: Path, queue: Queue) -> None:
    write(logs, "task_id=plan", "first")
    command = [sys.executable, "-m", "reloads.cli.main", "logs", RECORD.id, "--follow"]
    with subprocess.Popen(command, env=os.environ, text=True, stdout=subprocess.PIPE) as following:
        assert following.stdout
        assert following.stdout.readline().endswith("first\n")
        path = write(logs, "task_id=rewrite/map_index=0")
        with path.open("a") as file:
            line = {"timestamp": NOW.isoformat(), "level": "info", "event": "second", "logger": "reloads"}
            file.write(json.dumps(line)[:20])
            file.flush()
            write(logs, "task_id=settle", "third")
            assert following.stdout.readline().endswith("third\n")
            file.write(json.dumps(line)[20:] + "\n")
            file.flush()
        assert following.stdout.readline().endswith("second\n")
        settle(queue, "2024-01-02")
        rest, _ = following.communicate(timeout=60)
    assert (following.returncode, rest) == (0, "")


def test_follow_goes_without_json(logs: Path) -> None:
    assert logs.is_dir()
    assert call("logs", "a-sales", "--follow", "--json").code == 2
