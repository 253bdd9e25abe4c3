"""Workers on machines of their own, as containers stand for them: they rewrite, and may go away in the middle of it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count

import pytest

from reloads.days import Days
from tests.integration.conftest import SETTINGS
from tests.integration.container_stack import SETTING_NAMES, ContainerStack, running_stack
from tests.integration.docker import docker, require_docker
from tests.integration.tables import YEAR_ROWS
from tests.integration.worker_stack import COUNT, FAULTS, PROJECTS, Workers
from tests.integration.worker_warehouse import (
    SCHEDULERS,
    SOURCE_URL,
    URL,
    Bucket,
    SharedFolder,
    Warehouse,
    deliver_into_bucket,
    files_of_clone,
    reach_bucket,
)
from tests.support.pipeline import Pipeline
from tests.support.recoveries import Recoveries

YEAR = Days.parse(["2024-01-01..2024-12-31"])
ROUNDS = count(1)
"""Each request gives another year, so that what is published twice can be told from what is published once."""

SHARED = {"/opt/reloads/dags", "/opt/reloads/sensors", "/opt/reloads/tables", "/opt/reloads/source"}
STORE = {"celery": {"/opt/reloads/warehouse"}, "edge": set[str]()}
"""What else: the warehouse is a folder for the one kind of workers, and a bucket for the other."""


@pytest.fixture(scope="module", params=["celery", "edge"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fleet(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerStack]:
    require_docker()
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(SETTING_NAMES.match, list(os.environ)):
            patch.delenv(name)
        settings = {**SETTINGS, "WORKER_TASKS": "1"}
        if kind == "edge":
            settings |= {"WAREHOUSE_URL": URL, "SOURCE_URL": SOURCE_URL}
        with running_stack(
            tmp_path_factory.mktemp(f"workers-{kind}"),
            settings=settings,
            project=PROJECTS[kind],
            make_values=(f"WORKERS={COUNT}", f"EXECUTOR={kind}"),
            files=files_of_clone(kind),
        ) as stack:
            if kind == "edge":
                reach_bucket(stack, patch)
            yield stack


@pytest.fixture(scope="module")
def workers(fleet: ContainerStack, kind: str) -> Workers:
    return Workers(fleet, kind)


@pytest.fixture(scope="module")
def pipe(fleet: ContainerStack) -> Pipeline:
    return Pipeline(fleet)


@pytest.fixture(scope="module")
def warehouse(kind: str, pipe: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return SharedFolder(pipe) if kind == "celery" else Bucket(tmp_path_factory.mktemp("mirrors"))


def _drop_year(pipe: Pipeline, name: str) -> None:
    # Without a note of what the last year took it is cut into batches enough for all workers, however slow they are.
    (pipe.landing / ".watermarks" / "pace-fleet").unlink(missing_ok=True)
    parameters = {"round": next(ROUNDS)}
    pipe.drop(name, table="fleet", start_date="2024-01-01", end_date="2024-12-31", parameters=parameters)


def _look_at_year(pipe: Pipeline, warehouse: Warehouse, file: str) -> dict[str, Days]:
    """The days by worker of the request's record; all of the year is there, whole, and nobody did a day twice."""
    [record] = pipe.wait_for_done(file)
    pipe.wait_for_quiet("fleet")
    assert record.published == YEAR
    days_by_worker = {part.worker: part.days for part in record.workers}
    assert Days.union(days_by_worker.values()) == YEAR
    assert sum(len(days) for days in days_by_worker.values()) == len(YEAR)
    assert [*warehouse.rows("fleet").values()] == [YEAR_ROWS] * len(YEAR)
    twice = {key: times for key, times in warehouse.changes("fleet").items() if times > 1}
    assert twice == {}
    pipe.wait_for("an empty staging folder", warehouse.is_tidy)
    return days_by_worker


def test_a_dropped_year_is_rewritten_by_all_workers_and_the_record_says_which_days_by_which(
    fleet: ContainerStack, pipe: Pipeline, workers: Workers, warehouse: Warehouse
) -> None:
    _drop_year(pipe, "calm.json")

    days_by_worker = _look_at_year(pipe, warehouse, "calm.json")

    assert days_by_worker.keys() == workers.names
    [record] = pipe.records("done", "calm.json")
    shown = fleet.execute("scheduler", "reloads", "status", record.id)
    assert all(name in shown for name in workers.names)


def test_what_touches_the_drop_folder_stays_with_the_schedulers(pipe: Pipeline, workers: Workers) -> None:
    runs = pipe.rest.runs("rewrite_fleet")
    tasks = [task for run in runs for task in pipe.rest.tasks("rewrite_fleet", run["dag_run_id"])]
    hosts = {task["task_id"]: set[str]() for task in tasks}
    for task in tasks:
        if task["state"] == "success":
            hosts[task["task_id"]].add(task["hostname"])

    assert hosts["rewrite"] == workers.names
    assert hosts.keys() == {"plan", "rewrite", "settle"}
    assert hosts["plan"] | hosts["settle"] <= SCHEDULERS


def test_a_worker_reads_raw_files_where_they_are(
    fleet: ContainerStack, pipe: Pipeline, workers: Workers, kind: str
) -> None:
    day, path = "2013-01-05", "flights/flight_date=2013-01-05/flights.csv"
    raw_file = fleet.home / ".local" / "source" / path
    if kind == "edge":
        deliver_into_bucket(raw_file, path)

    pipe.drop("raw.json", table="flights", start_date=day)

    [record] = pipe.wait_for_done("raw.json")
    assert {part.worker for part in record.workers} <= workers.names
    assert (record.published, record.rows) == (Days.parse([day]), len(raw_file.read_text().splitlines()) - 1)


def test_the_log_of_a_batch_is_shown_where_that_of_any_task_is(pipe: Pipeline) -> None:
    runs = [run["dag_run_id"] for run in pipe.rest.runs("rewrite_fleet")]
    tasks = {run: pipe.rest.tasks("rewrite_fleet", run) for run in runs}
    run = next(run for run in runs if any(task["task_id"] == "rewrite" for task in tasks[run]))

    assert "partitions" in pipe.rest.log("rewrite_fleet", run, "rewrite", map_index=0)


def test_a_worker_shares_with_the_scheduler_what_it_reads_and_the_store(
    fleet: ContainerStack, workers: Workers, kind: str
) -> None:
    def shared(mounts: list[dict[str, object]]) -> dict[object, object]:
        return {mount["Source"]: mount["Destination"] for mount in mounts}

    with_scheduler = shared(fleet.inspect("scheduler")["Mounts"])
    for name in workers.names:
        mounts = shared(workers.inspect(name)["Mounts"])
        common = {mounts[source] for source in mounts.keys() & with_scheduler.keys()}
        assert common == SHARED | STORE[kind]


def test_the_containers_reach_other_machines_only_where_the_warehouse_is_on_one(
    fleet: ContainerStack, kind: str
) -> None:
    [network] = json.loads(docker("network", "inspect", f"{fleet.project}_inside"))

    assert network["Internal"] is (kind == "celery")


@pytest.mark.parametrize("secret", ["FERNET_KEY", "ADMIN_PASSWORD"])
def test_a_worker_knows_no_secret_that_it_does_not_need(
    fleet: ContainerStack, workers: Workers, kind: str, secret: str
) -> None:
    # A batch runs SQL that people write. One who asks by HTTP signs that, and one who takes tasks from Redis tells
    # the database how they ended.
    unneeded = {secret, *({"JWT_SECRET"} if kind == "celery" else {"POSTGRES_PASSWORD", "REDIS_PASSWORD"})}
    for name in workers.names:
        environment = " ".join(workers.inspect(name)["Config"]["Env"])
        assert [name for name in unneeded if fleet.secrets[name] in environment] == []


def test_a_worker_has_no_rights_and_runs_as_nobody_special(workers: Workers) -> None:
    for name in workers.names:
        host = workers.inspect(name)["HostConfig"]
        uids = {line.split()[1] for line in docker("top", name, "-eo", "pid,uid").splitlines()[1:]}
        assert (host["CapDrop"], host["ReadonlyRootfs"], "0" in uids) == (["ALL"], True, False)
        assert "no-new-privileges:true" in host["SecurityOpt"]


def test_batches_are_done_by_another_if_a_worker_is_killed_one_is_off_the_network_and_one_paused(
    pipe: Pipeline, workers: Workers, warehouse: Warehouse, recoveries: Recoveries, kind: str
) -> None:
    pipe.wait_for("all workers", workers.are_healthy)
    _drop_year(pipe, "faults.json")
    pipe.wait_for("all workers at work", lambda: workers.at_work(pipe, "fleet") == workers.names)
    victims = dict(zip(sorted(workers.names), FAULTS, strict=False))
    [survivor] = workers.names - victims.keys()
    since = time.monotonic()

    # They end here, too, if the test fails: the next one needs all workers.
    with ExitStack() as ends:
        for name, fault in victims.items():
            fault.begin(workers, name)
            if fault.end:
                ends.callback(fault.end, workers, name)
        seconds = pipe.wait_for_all({"year done": lambda: pipe.are_done("faults.json")}, since=since)

        days_by_worker = {part.worker: part.days for part in pipe.records("done", "faults.json")[0].workers}
        assert survivor in days_by_worker
        pipe.wait_for_quiet("fleet")
        before = warehouse.files("fleet")
    # Whoever comes back late has nothing of the year to publish any more.
    pipe.wait_for("all workers", workers.are_healthy)
    pipe.wait_for("nobody at work", lambda: not workers.at_work(pipe, "fleet"))
    # What was ended in the middle leaves its staging folder to the next run of any table.
    pipe.drop("probe-faults.json", table="probe", start_date="2024-06-01")
    pipe.wait_for_done("probe-faults.json")
    _look_at_year(pipe, warehouse, "faults.json")
    assert warehouse.files("fleet") == before
    recoveries.add(f"{kind}: {', '.join(str(fault.name) for fault in FAULTS)}", seconds)


@pytest.mark.parametrize("service", ["broker", "scheduler"])
def test_a_year_comes_through_the_end_of(
    fleet: ContainerStack,
    pipe: Pipeline,
    workers: Workers,
    warehouse: Warehouse,
    recoveries: Recoveries,
    *,
    kind: str,
    service: str,
) -> None:
    # Where no Redis hands out the tasks, the API server does. There is a second scheduler.
    victim = {"celery": "redis", "edge": "api-server"}[kind] if service == "broker" else service
    file = f"{service}.json"
    pipe.wait_for("all workers", workers.are_healthy)
    _drop_year(pipe, file)
    pipe.wait_for("a worker at work", lambda: workers.at_work(pipe, "fleet"))
    since = time.monotonic()

    fleet.crash(victim)

    seconds = pipe.wait_for_all({"year done": partial(pipe.are_done, file)}, since=since)
    _look_at_year(pipe, warehouse, file)
    recoveries.add(f"{kind}: {victim} killed", seconds)


def test_all_of_it_ends_with_make_stack_down_and_leaves_no_log_of_a_worker(
    fleet: ContainerStack, workers: Workers
) -> None:
    mounts = [mount for name in workers.names for mount in workers.inspect(name)["Mounts"]]
    volumes = {mount["Name"] for mount in mounts if mount["Type"] == "volume"}

    fleet.stop()

    of_project = ("--filter", f"label=com.docker.compose.project={fleet.project}")
    assert docker("ps", "--all", "--quiet", *of_project) == ""
    assert volumes
    assert volumes & set(docker("volume", "ls", "--quiet").split()) == set()
