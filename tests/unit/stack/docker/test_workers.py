"""What `.env` says of workers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stack.docker.env_file import complete, read_values
from stack.docker.workers import EXECUTORS, SERVICES, Workers

CLONE = Path(__file__).resolve().parents[4]
COMPOSE = (CLONE / "docker-compose.yaml").read_text()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    complete(path, {})
    return path


def test_workers_are_as_many_tasks_as_they_do_together_and_room_for_those_beside_them(file: Path) -> None:
    Workers(3).write(file)

    values = read_values(file)
    assert (values["COMPOSE_PROFILES"], values["WORKERS"], values["WORKERS_EXECUTOR"]) == (
        "celery",
        "3",
        "CeleryExecutor",
    )
    assert (values["WORKERS_SLOTS"], values["SLOTS_OF_ALL"], values["EDGE_API"]) == ("6", "8", "False")


def test_each_worker_does_as_many_tasks_as_the_file_says(file: Path) -> None:
    with file.open("a") as text:
        text.write("WORKER_TASKS=5\n")

    Workers(2).write(file)

    assert read_values(file)["WORKERS_SLOTS"] == "10"


def test_another_kind_takes_the_place_of_the_one_before_and_all_else_stays(file: Path) -> None:
    before = read_values(file)
    Workers(2, "celery").write(file)

    Workers(1, "edge").write(file)

    values = read_values(file)
    assert (values["COMPOSE_PROFILES"], values["WORKERS"], values["EDGE_API"]) == ("edge", "1", "True")
    assert {name: values[name] for name in before} == before
    assert all(len(re.findall(rf"^{name}=", file.read_text(), re.MULTILINE)) == 1 for name in values)


def test_without_workers_all_is_as_if_there_had_never_been_any(file: Path) -> None:
    before = read_values(file)
    Workers(2).write(file)

    Workers(0).write(file)

    # An empty variable counts as not given.
    assert {name: value for name, value in read_values(file).items() if value} == before


def test_a_file_that_says_so_already_is_not_written(file: Path) -> None:
    Workers(2).write(file)
    before = file.stat().st_mtime_ns, file.stat().st_ino

    Workers(2).write(file)

    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


def test_no_workers_leave_a_file_alone_that_never_had_any(file: Path) -> None:
    before = file.read_bytes()

    Workers(0).write(file)

    assert file.read_bytes() == before


def test_every_variable_of_workers_is_one_that_the_containers_read() -> None:
    read = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE)) | {"COMPOSE_PROFILES"}

    assert Workers(1).variables(tasks_each=1).keys() <= read


@pytest.mark.parametrize("kind", EXECUTORS)
def test_each_kind_is_a_profile_of_its_own(kind: str) -> None:
    for name in SERVICES[kind]:
        [service] = re.findall(rf"^  {name}:\n(?:    .*\n)+", COMPOSE, re.MULTILINE)
        assert f"profiles: [{kind}]" in service
