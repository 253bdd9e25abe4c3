"""The command line, run as a person runs it: arguments in, text and an exit code out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from reloads.planning.runnable_requests import leave_out_waiting
from reloads.requests.intake import collect_requests
from reloads.requests.queue import Queue
from reloads.runs.plan_step import plan_batches
from reloads.runs.rewrite_step import run_batch
from reloads.runs.settle_step import settle_batches
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.upgrade import open_catalog

QUERY = """
select day::date as day, i
from generate_series(date '2024-01-01', date '2024-12-31', interval 1 day) t(day), range(10) r(i)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    table = tmp_path / "tables" / "clicks"
    table.mkdir(parents=True)
    (table / "query.sql").write_text(QUERY)
    (table / "table.toml").write_text('day_column = "day"\nfirst_day = 2024-01-01\n')
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "RELOADS_HOME": str(home), "COLUMNS": "80"}


def reloads(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reloads.cli.main", *arguments]
    return subprocess.run(command, env=environment(home), text=True, capture_output=True, timeout=60, check=False)


def settings_of(home: Path) -> Settings:
    return Settings.from_environment({"RELOADS_HOME": str(home), "RELOADS_STABLE_SECONDS": "0.001"})


def work_off(home: Path) -> None:
    """What Airflow does with whatever lies in the drop folder."""
    settings, now = settings_of(home), datetime.now(UTC)
    collect_requests(settings, Catalog.load(settings.tables), clock=lambda: now, leave_out=leave_out_waiting)
    batches = [batch.to_json() for batch in plan_batches(settings, Catalog.load(settings.tables), "clicks", now=now)]
    outcomes = [run_batch(settings, "clicks", batch, run="r", now=now).to_json() for batch in batches]
    settle_batches(settings, open_catalog(settings), "clicks", batches, outcomes, run="r", now=now)


def test_run_rewrites_the_days_and_records_the_request(home: Path) -> None:
    done = reloads(home, "run", "clicks", "2024-01-30", "2024-02-02")
    assert done.returncode == 0, done.stderr
    assert "clicks: 4 days published, 40 rows" in done.stdout
    files = f"{home}/warehouse/clicks/*/data.parquet"
    counted = f"select day, count(*) from read_parquet('{files}', hive_partitioning = true) group by all"
    rows = {str(day): count for day, count in duckdb.execute(counted).fetchall()}
    assert rows == {"2024-01-30": 10, "2024-01-31": 10, "2024-02-01": 10, "2024-02-02": 10}
    [record] = Queue(home / "landing").records("done")
    assert (record.mode, len(record.published)) == ("command", 4)


def test_run_takes_a_request_file(home: Path) -> None:
    (home / "mine.json").write_text('[{"table": "clicks", "start_date": "2024-01-01"}]')
    assert reloads(home, "run", str(home / "mine.json")).returncode == 0
    assert (home / "warehouse/clicks/day=2024-01-01/data.parquet").exists()


def test_a_run_that_fails_says_which_day_and_why(home: Path) -> None:
    (home / "tables/clicks/query.sql").write_text(
        "select day::date as day, case when day = '2024-01-02' then error('no luck') end as x "
        "from generate_series(date '2024-01-01', date '2024-01-03', interval 1 day) t(day)"
    )
    done = reloads(home, "run", "clicks", "2024-01-01", "2024-01-03")
    assert done.returncode == 1
    assert "clicks 2024-01-02: Invalid Input Error: no luck" in done.stderr
    assert not (home / "warehouse/clicks/day=2024-01-02").exists()
    assert (home / "warehouse/clicks/day=2024-01-03/data.parquet").exists()


def test_request_drops_a_file_that_is_accepted(home: Path) -> None:
    done = reloads(home, "request", "clicks", "2024-01-01", "2024-01-02", "--reason", "late rows")
    assert done.returncode == 0, done.stderr
    [file] = (home / "landing").glob("*.json")
    assert file.name in done.stdout
    work_off(home)
    [record] = Queue(home / "landing").records("done")
    assert (record.reason, record.days.texts()) == ("late rows", ["2024-01-01..2024-01-02"])


def test_wait_ends_when_the_request_is_done(home: Path) -> None:
    command = [sys.executable, "-m", "reloads.cli.main", "request", "clicks", "2024-03-01", "2024-03-03", "--wait"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment(home), text=True, stdout=pipe, stderr=pipe) as waiting:
        assert waiting.stdout
        assert "dropped" in waiting.stdout.readline()
        work_off(home)
        out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, err
    assert "clicks: 3 days published, 30 rows" in out


@pytest.fixture
def files(home: Path) -> Path:
    """The folder of the raw files of a table that reads one a day."""
    (home / "tables" / "sources.toml").write_text('[click_files]\nfiles = "clicks/{day}.csv"\n')
    (home / "tables" / "clicks" / "query.sql").write_text(
        "select * from read_csv(getvariable('click_files'), columns = {'day': 'date', 'i': 'int'})"
    )
    with (home / "tables" / "clicks" / "table.toml").open("a") as settings:
        settings.write('due = "06:00"\n')
    folder = home / ".local" / "source" / "clicks"
    folder.mkdir(parents=True)
    deliver(folder, "2024-01-01")
    return folder


def deliver(folder: Path, day: str) -> None:
    (folder / f"{day}.csv").write_text(f"day,i\n{day},1\n")


WAITING = "2024-01-02: it waits for raw files: clicks/2024-01-02.csv is not there"


def test_a_request_that_waits_for_raw_files_says_so_wherever_one_looks(home: Path, files: Path) -> None:
    command = [sys.executable, "-m", "reloads.cli.main", "request", "clicks", "2024-01-01", "2024-01-02", "--wait"]
    pipe = subprocess.PIPE
    settings = {**environment(home), "RELOADS_STABLE_SECONDS": "0.001"}
    with subprocess.Popen(command, env=settings, text=True, stdout=pipe, stderr=pipe) as waiting:
        assert waiting.stdout
        assert waiting.stderr
        assert "dropped" in waiting.stdout.readline()
        work_off(home)
        told = ""
        while WAITING not in told:
            told += waiting.stderr.read(1)
        [line] = [line for line in reloads(home, "status").stdout.splitlines() if "waits" in line]
        assert line.split("\t")[-1] == f"{WAITING}, late since 06:00 after the day ended"
        planned = reloads(home, "plan", "clicks", "2024-01-02").stdout
        assert f"skip\tclicks\t1\t0\t0 kB\t2024-01-02 (1 day): {WAITING.partition(': ')[2]}" in planned
        deliver(files, "2024-01-02")
        work_off(home)
        out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, err
    assert "clicks: 2 days published" in out


@pytest.mark.usefixtures("files")
def test_a_command_whose_raw_file_is_not_there_loads_the_other_days_and_fails(home: Path) -> None:
    done = reloads(home, "run", "clicks", "2024-01-01", "2024-01-02")
    assert done.returncode == 1
    assert f"clicks {WAITING}; ask again once they are there" in done.stderr
    assert [path.parent.name for path in (home / "warehouse/clicks").glob("*/*.parquet")] == ["day=2024-01-01"]


@pytest.mark.usefixtures("files")
def test_check_says_what_is_wrong_with_sources_that_no_table_reads(home: Path) -> None:
    with (home / "tables" / "sources.toml").open("a") as sources:
        sources.write('[others]\nfiles = "others.csv"\n')
    done = reloads(home, "check")
    assert done.returncode == 1
    assert "[others] files is not valid: 'others.csv' does not say which date a file is of; write {day}" in done.stderr


def test_check_says_what_a_good_file_asks_for(home: Path) -> None:
    (home / "good.json").write_text('{"table": "clicks", "start_date": "2024-01-01", "end_date": "2024-01-31"}')
    done = reloads(home, "check", str(home / "good.json"))
    assert (done.returncode, done.stdout.strip()) == (0, "good: clicks, 2024-01-01..2024-01-31 (31 days)")
    assert not (home / "landing").exists()


def test_check_without_a_file_checks_all_tables(home: Path) -> None:
    assert "all tables are good: clicks" in reloads(home, "check").stdout
    (home / "tables" / "clicks" / "query.sql").write_text("selec 1")
    done = reloads(home, "check")
    assert done.returncode == 1
    assert "query.sql does not parse" in done.stderr


def test_the_schema_in_the_repository_is_the_one_the_code_holds_to(home: Path) -> None:
    printed = json.loads(reloads(home, "check", "--schema").stdout)
    kept = Path(__file__).parents[3] / "schemas" / "request.schema.json"
    assert printed == json.loads(kept.read_text())


def test_status_lists_open_and_ended_requests(home: Path) -> None:
    assert "no requests yet" in reloads(home, "status").stdout
    reloads(home, "run", "clicks", "2024-01-01")
    (home / "landing" / "mine.json").write_text('{"table": "clicks", "start_date": "2024-01-02"}')
    catalog = Catalog.load(home / "tables")
    collect_requests(settings_of(home), catalog, clock=lambda: datetime.now(UTC), leave_out=leave_out_waiting)
    ended, queued = [line.split("\t") for line in reloads(home, "status").stdout.splitlines() if "\t" in line]
    assert [ended[place] for place in (0, 2, 3, 4)] == ["done", "1/1 days", "clicks", "10"]
    assert [queued[place] for place in (0, 2, 3, 4)] == ["queued", "0/1 days", "clicks", "0"]
    assert queued[-1] == "it waits for its turn: the next run of rewrite_clicks takes it"
    assert "accepted_at" in json.loads(reloads(home, "status", "mine.json", "--json").stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "click", "2024-01-01"), 1, "known tables are clicks"),
        (("run", "clicks", "2024-1-1"), 1, "YYYY-MM-DD"),
        (("run", "clicks", "2024-02-02", "2024-02-01"), 1, "swap them"),
        (("run", "clicks", "2023-12-31"), 1, "begin at 2024-01-01"),
        (("run", "nowhere.json"), 2, "does not exist"),
        (("request", "clicks", "2999-01-01"), 1, "in the future"),
        (("check", "nowhere.json"), 2, "does not exist"),
        (("check", "tables"), 1, "it is a folder"),
        (("status", "nothing"), 1, "reloads status lists them"),
        (("nonsense",), 2, "No such command"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_an_error_is_a_sentence_and_an_exit_code(home: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    (home / "landing").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "reloads.cli.main", *arguments],
        env=environment(home),
        cwd=home,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_bad_setting_is_one_sentence(home: Path) -> None:
    bad = {**environment(home), "RELOADS_TIME_ZONE": "Mars/Olympus"}
    done = subprocess.run(
        [sys.executable, "-m", "reloads.cli.main", "status"], env=bad, text=True, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip().startswith("reloads: RELOADS_TIME_ZONE='Mars/Olympus' is not valid")


def test_status_counts_no_failed_day_as_done(home: Path) -> None:
    failing = QUERY.replace("i\n", "if(day = '2024-01-02', error('bad row'), i) as i\n", 1)
    (home / "tables/clicks/query.sql").write_text(failing)
    assert reloads(home, "run", "clicks", "2024-01-01", "2024-01-03").returncode == 1
    [line] = reloads(home, "status").stdout.splitlines()
    assert line.split("\t")[0] == "failed"
    assert line.split("\t")[2] == "2/3 days (1 failed)"


def test_history_lists_versions_and_says_where_there_are_none(home: Path) -> None:
    assert reloads(home, "run", "clicks", "2024-01-01").returncode == 0
    first, second, last = reloads(home, "history", "clicks", "2024-01-01").stdout.splitlines()
    assert first.endswith("\tnothing was there")
    assert second.startswith("day=2024-01-01\t1\t10\t")
    assert "\tit is current\tby command-clicks-" in second
    assert last.startswith("2024-01-01 of clicks: ")
    assert reloads(home, "history", "clicks").stdout.splitlines()[-1].startswith("all of clicks: ")
    nothing = reloads(home, "history", "clicks", "2024-01-02").stdout
    assert nothing.startswith("nothing of clicks on 2024-01-02 is published, and nothing is kept\n")
    unknown = reloads(home, "history", "click")
    assert (unknown.returncode, unknown.stderr) == (1, "reloads: table 'click' is unknown; known tables are clicks\n")


def test_a_file_among_the_records_that_is_none_is_one_printable_line(home: Path) -> None:
    odd = home / "landing/accepted/two\nlines\x1b[2J.json"
    odd.parent.mkdir(parents=True)
    odd.write_text("no record")
    done = reloads(home, "status")
    assert done.returncode == 0
    [line] = done.stderr.splitlines()
    assert line.isprintable()
    assert r"two\nlines\x1b[2J.json is not a record" in line


def test_a_rejected_file_is_in_the_list_and_has_its_sentence(home: Path) -> None:
    (home / "landing").mkdir()
    (home / "landing/bad.json").write_text('{"table": "clicks", "start_date": "1999-01-01"}')
    settings = settings_of(home).model_copy(update={"stable_seconds": 0.001})
    collect_requests(
        settings, Catalog.load(home / "tables"), clock=lambda: datetime.now(UTC), leave_out=leave_out_waiting
    )
    sentence = "bad.json: start_date 1999-01-01 is before the first day of 'clicks'; begin at 2024-01-01"
    [line] = reloads(home, "status").stdout.splitlines()
    assert line.startswith("rejected\tbad\t")
    assert line.endswith(f"\t{sentence}")
    done = reloads(home, "status", "bad.json")
    assert (done.returncode, done.stderr) == (1, f"reloads: {sentence}\n")


def test_wait_ends_with_the_sentence_when_the_file_is_rejected(home: Path) -> None:
    command = [sys.executable, "-m", "reloads.cli.main", "request", "clicks", "2024-03-01", "--wait"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment(home), text=True, stdout=pipe, stderr=pipe) as waiting:
        assert waiting.stdout
        assert "dropped" in waiting.stdout.readline()
        [file] = (home / "landing").glob("*.json")
        file.write_text("{}")
        settings = settings_of(home).model_copy(update={"stable_seconds": 0.001})
        collect_requests(
            settings, Catalog.load(home / "tables"), clock=lambda: datetime.now(UTC), leave_out=leave_out_waiting
        )
        _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 1
    assert f"reloads: {file.name}: " in err
