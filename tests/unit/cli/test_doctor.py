"""The doctor: in good health nothing is wrong, and each fault that is planted is named, with what to do."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reloads.requests.conversion import new_record
from reloads.requests.queue import Queue
from reloads.requests.request import parse_request
from reloads.warehouse.move_notes import TableMove, note_begin
from stack.waiting import wait_until
from tests.support.patient import Patient

SENTENCE_LENGTH = 400
ELSEWHERE = f"reloads-doctor-{os.getpid()}-"
"""How folders on another file system begin, those of this process alone."""


@pytest.fixture(scope="module")
def health(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where a deployment lives, and a copy of it in good health."""
    home = tmp_path_factory.mktemp("doctor") / "home"
    Patient.born(home)
    copy = home.with_name("healthy")
    shutil.copytree(home, copy)
    return home, copy


@pytest.fixture
def patient(health: tuple[Path, Path]) -> Patient:
    home, copy = health
    return Patient(home).copy_from(copy)


def set_variable(name: str, value: str) -> Callable[[Patient], None]:
    def plant(patient: Patient) -> None:
        patient.environment[name] = value

    return plant


def stage_elsewhere(patient: Patient) -> None:
    folder = tempfile.mkdtemp(prefix=ELSEWHERE, dir="/dev/shm")
    (patient.home / "warehouse" / ".staging").symlink_to(folder)


def publish_in_the_future(patient: Patient) -> None:
    log = patient.home / "warehouse" / ".log" / "orders"
    log.mkdir(parents=True)
    later = datetime.now(UTC).timestamp() + 3600
    os.utime(log, (later, later))


def install_an_old_duckdb(patient: Patient) -> None:
    folder = patient.home / "packages" / "duckdb-1.4.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: duckdb\nVersion: 1.4.0\n")
    patient.environment["PYTHONPATH"] = str(folder.parent)


def ask_for_a_pool(patient: Patient) -> None:
    with (patient.home / "tables" / "orders" / "table.toml").open("a") as file:
        file.write('\npool = "small machines"\n')


def break_a_table(patient: Patient) -> None:
    (patient.home / "tables" / "daily_sales" / "query.sql").write_text("selec 1")


def interrupt_a_rename(patient: Patient) -> None:
    note_begin(patient.settings.warehouse, TableMove("rename", "orders", "sold"))


def grow_a_table(patient: Patient) -> None:
    partition = patient.home / "warehouse" / "huge" / "day=2025-01-01" / "data.parquet"
    partition.parent.mkdir(parents=True)
    with partition.open("wb") as file:
        file.truncate(shutil.disk_usage(patient.home).free + 10**9)


def leave_a_request(patient: Patient) -> None:
    request = parse_request({"table": "orders", "start_date": "2025-01-01"})
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    Queue(patient.settings.landing).add(new_record(request, "orders", mode="landing", origin="test", now=long_ago))


def leave_a_file(patient: Patient) -> None:
    patient.environment |= {"RELOADS_RESCAN_SECONDS": "0.1", "RELOADS_STABLE_SECONDS": "0.1"}
    example = patient.home / "landing" / "examples" / "first-week.json"
    shutil.copy(example, patient.home / "landing" / "forgotten.json")
    assert wait_until(lambda: patient.find("wrong") != [], seconds=20)


def pause_a_table(patient: Patient) -> None:
    patient.airflow("dags", "pause", "rewrite_orders")


def break_the_dag_file(patient: Patient) -> None:
    (patient.home / "dags" / "reloads_dags.py").write_text(
        "from reloads.airflow.dags import build_dag\n\nbuild_dag()\n"
    )
    patient.read_dags()


def take_our_name(patient: Patient) -> None:
    dag = "from airflow.sdk import DAG\nfrom airflow.providers.standard.operators.empty import EmptyOperator\n"
    dag += 'with DAG("request_partitions"):\n    EmptyOperator(task_id="theirs")\n'
    (patient.home / "dags" / "theirs.py").write_text(dag)
    (patient.home / "dags" / "reloads_dags.py").unlink()
    patient.read_dags()


def silence_the_triggerer(patient: Patient) -> None:
    patient.sql("update job set latest_heartbeat = '2025-01-01 00:00:00.000000' where job_type = 'TriggererJob'")


def look_elsewhere(patient: Patient) -> None:
    (patient.home / "drop").mkdir()
    patient.environment["RELOADS_LANDING"] = "drop"


def add_a_table(patient: Patient) -> None:
    shutil.copytree(patient.home / "tables" / "orders", patient.home / "tables" / "sales")


FAULTS = {
    "a setting is misspelt": (
        set_variable("RELOADS_WAREHOSE", "/data"),
        ("settings", "RELOADS_WAREHOSE is not a setting; did you mean RELOADS_WAREHOUSE?"),
    ),
    "a setting has a bad value": (
        set_variable("RELOADS_RETRIES", "many"),
        ("settings", "RELOADS_RETRIES='many' is not valid"),
    ),
    "nobody may write to the drop folder": (
        set_variable("RELOADS_LANDING", "/sys/kernel"),
        ("landing folder", "/sys/kernel cannot be written"),
    ),
    "the drop folder is not there": (
        set_variable("RELOADS_LANDING", "nowhere"),
        ("landing folder", "nowhere does not exist; make it, or set RELOADS_LANDING"),
    ),
    "staging lies on another file system": (stage_elsewhere, ("warehouse folder", "so no rename leads there")),
    "the clock is behind": (publish_in_the_future, ("clock", "have NTP set the clocks")),
    "a package is too old": (install_an_old_duckdb, ("versions", "duckdb is 1.4.0, and it has to be")),
    "a table does not parse": (break_a_table, ("tables", "daily_sales/query.sql does not parse")),
    "a rename was interrupted": (interrupt_a_rename, ("tables", "reloads rename orders sold was interrupted, and")),
    "a table is larger than the room": (grow_a_table, ("disk space", "a reload of all of huge needs")),
    "a request hangs": (leave_a_request, ("requests", "it waits for its turn")),
    "a file lies there": (leave_a_file, ("requests", "forgotten.json lies in the drop folder since")),
}
FAULTS_OF_AIRFLOW = {
    "a DAG is paused": (pause_a_table, ("dags", "rewrite_orders is paused")),
    "the DAG file is broken": (
        break_the_dag_file,
        ("dags", "cannot import name 'build_dag'"),
    ),
    "a DAG has our name": (take_our_name, ("dags", "the DAG request_partitions is somebody else's")),
    "a table has no DAG": (add_a_table, ("dags", "Airflow has no DAG rewrite_sales")),
    "the triggerer is dead": (silence_the_triggerer, ("airflow", "triggerer gave no sign of life since 2025-01-01")),
    "the pool is not there": (
        set_variable("RELOADS_POOL", "rewrites"),
        ("airflow", "RELOADS_POOL='rewrites' is not a pool of Airflow"),
    ),
    "the pool of a table is not there": (
        ask_for_a_pool,
        ("airflow", "the pool 'small machines' of orders is not one of Airflow"),
    ),
    "the clock of Airflow is off": (
        set_variable("AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE", "False"),
        ("airflow", "use_job_schedule is off"),
    ),
    "Airflow watches another folder": (look_elsewhere, ("landing folder", "set RELOADS_HOME to the same for both")),
}


@pytest.fixture(autouse=True)
def _shared_memory() -> Iterator[None]:
    """Folders that a test makes elsewhere are gone at its end."""
    yield
    for folder in Path("/dev/shm").glob(f"{ELSEWHERE}*"):
        shutil.rmtree(folder, ignore_errors=True)


def test_in_good_health_nothing_is_wrong_and_nothing_changes(patient: Patient) -> None:
    before = {path: path.stat().st_mtime_ns for path in patient.home.rglob("*") if path.is_file()}
    assert patient.find("wrong", "unknown") == []
    about = {about for about, _ in patient.find("good")}
    assert about == {
        *("settings", "versions", "landing folder", "warehouse folder", "file events", "clock", "disk space"),
        *("tables", "requests", "airflow"),
    }
    assert {path: path.stat().st_mtime_ns for path in patient.home.rglob("*") if path.is_file()} == before


def assert_named(found: list[tuple[str, str]], about: str, part: str) -> None:
    assert [(about, sentence) for place, sentence in found if place == about and part in sentence], found
    for _, sentence in found:
        assert "\n" not in sentence
        assert len(sentence) < SENTENCE_LENGTH
        assert "; " in sentence or "did you mean" in sentence, f"no cure: {sentence}"


@pytest.mark.parametrize("fault", FAULTS)
def test_each_planted_fault_is_named_with_what_to_do(patient: Patient, fault: str) -> None:
    plant, (about, part) = FAULTS[fault]
    plant(patient.forget_airflow())
    assert_named(patient.find("wrong"), about, part)


@pytest.mark.parametrize("fault", FAULTS_OF_AIRFLOW)
def test_each_fault_that_is_planted_in_airflow_is_named_with_what_to_do(patient: Patient, fault: str) -> None:
    plant, (about, part) = FAULTS_OF_AIRFLOW[fault]
    plant(patient)
    assert_named(patient.find("wrong"), about, part)


@pytest.mark.parametrize("fault", ["a request hangs", "the clock is behind", "a table does not parse"])
def test_a_fault_brings_no_finding_but_its_own(patient: Patient, fault: str) -> None:
    plant, (about, _) = FAULTS[fault]
    plant(patient.forget_airflow())
    assert [place for place, _ in patient.find("wrong")] == [about]


def test_for_a_person_each_finding_is_a_line_that_says_how_bad_it_is(patient: Patient) -> None:
    patient.forget_airflow().environment["RELOADS_WAREHOSE"] = "/data"
    done = patient.see_doctor()
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].split("\t")[:2] == ["wrong", "settings"]
    assert any(line.split("\t")[:2] == ["good", "clock"] for line in done.stdout.splitlines())


def test_where_no_airflow_is_that_is_said_and_nothing_is_wrong_or_made(patient: Patient, tmp_path: Path) -> None:
    patient.forget_airflow().environment["HOME"] = str(tmp_path)
    [(about, sentence)] = patient.find("wrong", "unknown")
    assert (about, sentence.partition(",")[0]) == ("airflow", "AIRFLOW_HOME is not set and ~/airflow is not there")
    assert list(tmp_path.iterdir()) == []


def test_an_airflow_whose_database_was_never_made_is_said_to_be_unknown(patient: Patient, tmp_path: Path) -> None:
    patient.environment["AIRFLOW_HOME"] = str(tmp_path)
    [(about, sentence)] = patient.find("wrong", "unknown")
    assert about == "airflow"
    assert "airflow.db does not exist" in sentence
    assert not (tmp_path / "airflow.db").exists()


def test_a_database_that_does_not_answer_is_said_to_be_unknown(patient: Patient) -> None:
    url = "postgresql+psycopg2://nobody@127.0.0.1:1/airflow"
    patient.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = url
    [(about, sentence)] = patient.find("wrong", "unknown")
    assert about == "airflow"
    assert "onnection refused" in sentence
