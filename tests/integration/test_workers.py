"""Workers on machines of their own, as containers stand for them: they rewrite, and may go away in the middle of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from itertools import count

import pytest

from reloads.days import Days
from tests.integration.conftest import SETTINGS
from tests.integration.container_stack import SETTING_NAMES, ContainerStack, running_stack
from tests.integration.docker import docker, require_docker
from tests.integration.tables import YEAR_ROWS
from tests.integration.worker_stack import COUNT, FAULTS, PROJECTS, WorkerFault, Workers, changes
from tests.support.pipeline import Pipeline
from tests.support.recoveries import Recoveries

YEAR = Days.parse(["2024-01-01..2024-12-31"])
ROUNDS = count(1)
"""Each request gives another year, so that what is published twice can be told from what is published once."""

SHARED = {"/opt/reloads/dags", "/opt/reloads/sensors", "/opt/reloads/tables", "/opt/reloads/source"}
STORE = {"/opt/reloads/warehouse"}


@pytest.fixture(scope="module", params=["celery", "edge"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fleet(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerStack]:
    require_docker()
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(SETTING_NAMES.match, list(os.environ)):
            patch.delenv(name)
        values = (f"WORKERS={COUNT}", f"EXECUTOR={kind}")
        folder = tmp_path_factory.mktemp(f"workers-{kind}")
        with running_stack(folder, settings=SETTINGS, project=PROJECTS[kind], make_values=values) as stack:
            yield stack


@pytest.fixture(scope="module")
def workers(fleet: ContainerStack, kind: str) -> Workers:
    return Workers(fleet, kind)


@pytest.fixture(scope="module")
def pipe(fleet: ContainerStack) -> Pipeline:
    return Pipeline(fleet)


def _drop_year(pipe: Pipeline, name: str) -> None:
    parameters = {"round": next(ROUNDS)}
    pipe.drop(name, table="fleet", start_date="2024-01-01", end_date="2024-12-31", parameters=parameters)


def _look_at_year(pipe: Pipeline, file: str) -> dict[str, Days]:
    """The days by worker of the request's record; all of the year is there, whole, and nobody did a day twice."""
    [record] = pipe.wait_for_done(file)
    pipe.wait_for_quiet("fleet")
    assert record.published == YEAR
    days_by_worker = {part.worker: part.days for part in record.workers}
    assert Days.union(days_by_worker.values()) == YEAR
    assert sum(len(days) for days in days_by_worker.values()) == len(YEAR)
    assert set(pipe.rows("fleet").values()) == {YEAR_ROWS}
    twice = {key: times for key, times in changes(pipe.warehouse, "fleet").items() if times > 1}
    assert twice == {}
    pipe.wait_for("an empty staging folder", lambda: not pipe.staged())
    return days_by_worker


def test_a_dropped_year_is_rewritten_by_all_workers_and_the_record_says_which_days_by_which(
    fleet: ContainerStack, pipe: Pipeline, workers: Workers
) -> None:
    _drop_year(pipe, "calm.json")

    days_by_worker = _look_at_year(pipe, "calm.json")

    assert days_by_worker.keys() == workers.names()
    [record] = pipe.records("done", "calm.json")
    shown = fleet.execute("scheduler", "reloads", "status", record.id)
    assert all(name in shown for name in workers.names())


def test_what_touches_the_drop_folder_stays_with_the_scheduler(pipe: Pipeline, workers: Workers) -> None:
    runs = pipe.rest.runs("rewrite_fleet")
    tasks = [task for run in runs for task in pipe.rest.tasks("rewrite_fleet", run["dag_run_id"])]
    hosts = {task["task_id"]: set[str]() for task in tasks}
    for task in tasks:
        if task["state"] == "success":
            hosts[task["task_id"]].add(task["hostname"])

    assert hosts == {"plan": {"scheduler"}, "rewrite": workers.names(), "settle": {"scheduler"}}


def test_the_log_of_a_batch_is_shown_where_that_of_any_task_is(pipe: Pipeline) -> None:
    run = pipe.rest.runs("rewrite_fleet")[-1]["dag_run_id"]

    assert "partitions" in pipe.rest.log("rewrite_fleet", run, "rewrite", map_index=0)


def test_a_worker_shares_with_the_scheduler_what_it_reads_and_the_store(
    fleet: ContainerStack, workers: Workers
) -> None:
    def shared(mounts: list[dict[str, object]]) -> dict[object, object]:
        return {mount["Source"]: mount["Destination"] for mount in mounts}

    with_scheduler = shared(fleet.inspect("scheduler")["Mounts"])
    for name in workers.names():
        mounts = shared(workers.inspect(name)["Mounts"])
        common = {mounts[source] for source in mounts.keys() & with_scheduler.keys()}
        assert common == SHARED | STORE


@pytest.mark.parametrize("secret", ["FERNET_KEY", "ADMIN_PASSWORD"])
def test_a_worker_knows_no_secret_that_it_does_not_need(
    fleet: ContainerStack, workers: Workers, kind: str, secret: str
) -> None:
    # A batch runs SQL that people write. One who asks by HTTP signs that, and one who takes tasks from Redis tells
    # the database how they ended.
    unneeded = {secret, *({"JWT_SECRET"} if kind == "celery" else {"POSTGRES_PASSWORD", "REDIS_PASSWORD"})}
    for name in workers.names():
        environment = " ".join(workers.inspect(name)["Config"]["Env"])
        assert [name for name in unneeded if fleet.secrets[name] in environment] == []


def test_a_worker_has_no_rights_and_runs_as_nobody_special(workers: Workers) -> None:
    for name in workers.names():
        host = workers.inspect(name)["HostConfig"]
        uids = {line.split()[1] for line in docker("top", name, "-eo", "pid,uid").splitlines()[1:]}
        assert (host["CapDrop"], host["ReadonlyRootfs"], "0" in uids) == (["ALL"], True, False)
        assert "no-new-privileges:true" in host["SecurityOpt"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.name))
def test_a_batch_is_done_by_another_if_its_worker_goes_away(
    pipe: Pipeline, workers: Workers, recoveries: Recoveries, kind: str, fault: WorkerFault
) -> None:
    file = f"{fault.name.replace(' ', '-')}.json"
    pipe.wait_for("all workers", workers.are_healthy)
    _drop_year(pipe, file)
    pipe.wait_for("a staged file", lambda: pipe.staged("fleet"))
    victim = min(pipe.wait_for("a worker at work", lambda: workers.at_work(pipe, "fleet")))
    others = workers.names() - {victim}
    since = time.monotonic()

    fault.begin(workers, victim)
    conditions = {"year done": lambda: pipe.are_done(file)}
    seconds = pipe.wait_for_all(conditions, since=since)

    days_by_worker = {part.worker: part.days for part in pipe.records("done", file)[0].workers}
    assert others <= days_by_worker.keys()
    pipe.wait_for_quiet("fleet")
    before = pipe.files("fleet")
    if fault.end:
        fault.end(workers, victim)
    # Whoever comes back late has nothing of the year to publish any more.
    pipe.wait_for("all workers", workers.are_healthy)
    pipe.wait_for("nobody at work", lambda: not workers.at_work(pipe, "fleet"))
    # What was ended in the middle leaves its staging folder to the next run of any table.
    pipe.drop(f"probe-{file}", table="probe", start_date="2024-06-01")
    pipe.wait_for_done(f"probe-{file}")
    _look_at_year(pipe, file)
    assert pipe.files("fleet") == before
    recoveries.add(f"{kind}: {fault.name}", seconds)


def test_a_year_comes_through_the_end_of_redis(
    fleet: ContainerStack, pipe: Pipeline, workers: Workers, recoveries: Recoveries, kind: str
) -> None:
    # Where there is none, the API server stands in its place.
    service = {"celery": "redis", "edge": "api-server"}[kind]
    pipe.wait_for("all workers", workers.are_healthy)
    _drop_year(pipe, "broker.json")
    pipe.wait_for("a staged file", lambda: pipe.staged("fleet"))
    since = time.monotonic()

    fleet.crash(service)

    seconds = pipe.wait_for_all({"year done": partial(pipe.are_done, "broker.json")}, since=since)
    _look_at_year(pipe, "broker.json")
    recoveries.add(f"{kind}: {service} killed", seconds)


def test_all_of_it_ends_with_make_stack_down_and_leaves_no_log_of_a_worker(
    fleet: ContainerStack, workers: Workers
) -> None:
    mounts = [mount for name in workers.names() for mount in workers.inspect(name)["Mounts"]]
    volumes = {mount["Name"] for mount in mounts if mount["Type"] == "volume"}

    fleet.stop()

    of_project = ("--filter", f"label=com.docker.compose.project={fleet.project}")
    assert docker("ps", "--all", "--quiet", *of_project) == ""
    assert volumes
    assert volumes & set(docker("volume", "ls", "--quiet").split()) == set()
