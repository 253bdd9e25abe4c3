"""The peers of the benchmark: their files can be read, and a time counts only if the right rows were written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
import yaml

from benchmarks.peers import environments, readings, rounds
from benchmarks.peers.environments import PROJECTS
from benchmarks.peers.readings import QUERY, Span, Totals, copy_plainly, file_totals
from benchmarks.peers.rounds import Peer, time_rounds
from benchmarks.peers.sqlmesh_peer import sqlmesh_peer
from benchmarks.readings import ROWS_QUERY
from tests.support.clone import CLONE, environment_of_a_new_shell

PEERS = CLONE / "benchmarks" / "peers"
SPAN = Span.of(2)
PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
tasks = {dag_id: {task.task_id: task.task_type for task in dag.tasks} for dag_id, dag in bag.dags.items()}
print(json.dumps({"tasks": tasks, "errors": bag.import_errors}))
"""
PINNED = re.compile(r"[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==[^ ]+( ; .+)? \\")
HASH = re.compile(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?")


@pytest.fixture
def two_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a benchmark whose readings end after two days."""
    for module in (readings, rounds, environments):
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(readings, "SHIFT", tmp_path / "shift.csv")
    monkeypatch.setattr(readings, "READINGS", tmp_path / "readings.parquet")
    query = ROWS_QUERY.format(rows=200_000)
    duckdb.execute(f"copy ({query}) to '{tmp_path / 'readings.parquet'}' (format parquet)")
    return tmp_path


def copier(folder: Path) -> Peer:
    """A peer that does what plain DuckDB does."""

    def copy() -> None:
        copy_plainly(SPAN, folder)

    return Peer("copier", "It copies.", load=copy, reload=copy, totals=lambda: file_totals(folder))


def test_airflow_reads_the_dags(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(PEERS / "dags")],
        env=environment_of_a_new_shell() | {"AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    parsed = json.loads(done.stdout.splitlines()[-1])
    assert parsed["errors"] == {}
    assert {dag_id: sorted(tasks) for dag_id, tasks in parsed["tasks"].items()} == {
        "peers_article": ["copy_day", "plan"],
        "peers_mapped": ["copy_day", "plan"],
        "peers_backfill": ["copy_day"],
    }


@pytest.mark.parametrize("name", ["dagster", "sqlmesh", "dbt"])
def test_each_requirement_is_pinned_with_its_hashes_and_names_no_index(name: str) -> None:
    lines = (PROJECTS / name / "requirements.txt").read_text().splitlines()
    assert any(line.startswith("duckdb==") for line in lines)
    assert [line for line in lines if not PINNED.fullmatch(line) and not HASH.fullmatch(line)] == []


@pytest.mark.parametrize("file", sorted(PROJECTS.rglob("*.y*ml")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_each_file_of_settings_is_yaml(file: Path) -> None:
    assert isinstance(yaml.safe_load(file.read_text()), dict)


def test_the_asset_is_python() -> None:
    compile((PROJECTS / "dagster" / "definitions.py").read_text(), "definitions.py", "exec")


@pytest.mark.parametrize("file", ["sqlmesh/models/readings.sql", "dbt/models/raw_readings.sql"])
def test_each_model_has_the_columns_of_the_others(file: str) -> None:
    columns = re.search(r"^select .+$", QUERY.read_text(), re.MULTILINE)
    assert columns
    assert columns[0] in (PROJECTS / file).read_text()


def test_each_peer_has_a_time_for_each_round_of_other_values(two_days: Path) -> None:
    seen: list[Totals] = []
    peer = copier(two_days / "copier")

    def look() -> Totals:
        seen.append(peer.totals())
        return seen[-1]

    (plain, figure), notes = time_rounds([replace(peer, totals=look)], SPAN, rounds=2)
    assert notes[-1] == "It copies."
    assert (plain.name, figure.reference) == ("plain DuckDB COPY of 2 days", plain.name)
    assert len(plain.values) == len(figure.values) == 2
    assert [totals.thousandths - seen[0].thousandths for totals in seen] == [0, 200_000_000, 400_000_000]


def test_a_peer_that_leaves_the_rows_of_the_last_round_stops_the_benchmark(two_days: Path) -> None:
    lazy = replace(copier(two_days / "copier"), reload=lambda: None)
    with pytest.raises(SystemExit, match=r"copier wrote .+ which should be .+ its time says nothing"):
        time_rounds([lazy], SPAN, rounds=1)


def test_a_peer_that_writes_a_day_twice_stops_the_benchmark(two_days: Path) -> None:
    peer = copier(two_days / "copier")

    def write_twice() -> None:
        peer.reload()
        day = two_days / "copier" / f"reading_date={SPAN.first}"
        [file, *_] = day.iterdir()
        (day / "again.parquet").write_bytes(file.read_bytes())

    with pytest.raises(SystemExit, match="copier wrote"):
        time_rounds([replace(peer, reload=write_twice)], SPAN, rounds=1)


def test_without_the_package_index_a_peer_is_reported_as_not_measured(
    two_days: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(two_days / "cache"))
    figures, notes = time_rounds([sqlmesh_peer(SPAN), copier(two_days / "copier")], SPAN, rounds=1)
    assert [figure.name for figure in figures] == ["plain DuckDB COPY of 2 days", "copier"]
    assert "not measured: SQLMesh restatement, because it cannot be installed" in notes[1]
