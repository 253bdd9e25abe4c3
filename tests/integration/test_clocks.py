"""A clock two hours ahead: of a machine that drops files, and of one that a service runs on."""

from __future__ import annotations

import json
import os
import re
import time
from functools import partial
from pathlib import Path

import pytest

from tests.integration.container_stack import CLOCK_IMAGE, IMAGE, ContainerStack
from tests.integration.docker import docker
from tests.support.pipeline import Pipeline
from tests.support.recoveries import Recoveries

TWO_HOURS = 7200
WITH_CLOCK = ("api-server", "scheduler", "dag-processor", "triggerer")
# The image of the stack, and a library that makes processes believe in another time.
DOCKERFILE = f"""\
FROM {IMAGE}
USER root
RUN apt-get update \\
 && apt-get install --yes --no-install-recommends libfaketime \\
 && ln -s /usr/lib/*/faketime/libfaketime.so.1 /usr/local/lib/libfaketime.so
USER 50000:0
"""
ENVIRONMENT = {
    "LD_PRELOAD": "/usr/local/lib/libfaketime.so",
    "FAKETIME_TIMESTAMP_FILE": "/clock/offset",
    "FAKETIME_CACHE_DURATION": "1",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
}
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
REPLACE = ("up", "--detach", "--wait", "--no-deps", "--no-build", *WITH_CLOCK)


@pytest.mark.parametrize("seconds", [TWO_HOURS, -TWO_HOURS], ids=["ahead", "behind"])
def test_the_time_of_a_file_makes_no_difference(pipeline: Pipeline, seconds: int) -> None:
    for name, start in ((f"good{seconds}", "2024-06-13"), (f"bad{seconds}", "2024-06-31")):
        beside = pipeline.landing / f".{name}.tmp"
        beside.write_text(json.dumps({"table": "probe", "start_date": start}))
        os.utime(beside, (time.time() + seconds,) * 2)
        beside.rename(pipeline.landing / f"{name}.json")

    pipeline.wait_for_done(f"good{seconds}.json")
    assert "2024-06-31" in pipeline.rejection(f"bad{seconds}")


class Clocks:
    """The clock of each service, as a file that says how far it is ahead."""

    def __init__(self, stack: ContainerStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder

    def set(self, service: str, seconds: int) -> None:
        folder = self._folder / service
        folder.mkdir(exist_ok=True)
        (folder / "offset").write_text(f"+{seconds}\n")

    def start_again(self, service: str, *, ahead: int) -> None:
        """Start a service on a machine whose clock is wrong."""
        docker("stop", self._stack.container(service))
        self.set(service, ahead)
        docker("start", self._stack.container(service))

    def override(self) -> Path:
        services = {
            service: {
                "image": CLOCK_IMAGE,
                "environment": ENVIRONMENT,
                "volumes": [{"type": "bind", "source": str(self._folder / service), "target": "/clock"}],
            }
            for service in WITH_CLOCK
        }
        path = self._folder / "clocks.json"
        path.write_text(json.dumps({"services": services}))
        return path


@pytest.fixture(scope="module")
def clocks(stack: ContainerStack, tmp_path_factory: pytest.TempPathFactory) -> Clocks:
    """The stack with a clock of its own for each service; all are right. It stays so until the stack is removed."""
    context, folder = tmp_path_factory.mktemp("image"), tmp_path_factory.mktemp("clocks")
    (context / "Dockerfile").write_text(DOCKERFILE)
    proxies: list[str] = []
    for name in PROXIES:
        if name in os.environ:
            proxies += ["--build-arg", name]
    docker("build", "--quiet", "--tag", CLOCK_IMAGE, *proxies, str(context))
    clocks = Clocks(stack, folder)
    for service in WITH_CLOCK:
        clocks.set(service, 0)
    stack.compose(*REPLACE, override=clocks.override())
    return clocks


def _last_checks(stack: ContainerStack, service: str, *, count: int) -> list[int]:
    """How the last checks of its health ended: one that ended its container was killed with it."""
    checks = stack.inspect(service)["State"]["Health"]["Log"]
    return [check["ExitCode"] for check in checks[-count:]]


def _says_why_it_does_not_work(stack: ContainerStack, service: str) -> bool:
    """Whether the log of the service and Docker's record of its health hold the sentence."""
    wrong = rf"the clock of {service} is 7(1[89]\d|200) s ahead of the database's and may be 30 s off; set it, "
    health = stack.inspect(service)["State"]["Health"]
    last_check = "".join(entry["Output"] for entry in health["Log"][-1:])
    return bool(re.search(f"waiting: {wrong}", stack.logs(service)) and re.search(wrong, last_check))


@pytest.mark.parametrize(
    ("services", "work_goes_on"),
    [(("api-server", "scheduler"), False), (("dag-processor", "triggerer"), True)],
    ids=["api-server and scheduler", "dag-processor and triggerer"],
)
def test_nothing_is_lost_while_the_clocks_of_two_services_are_two_hours_ahead(
    stack: ContainerStack,
    pipeline: Pipeline,
    clocks: Clocks,
    recoveries: Recoveries,
    *,
    services: tuple[str, str],
    work_goes_on: bool,
) -> None:
    spring, day = f"spring-{services[0]}.json", f"day-{services[0]}.json"
    pipeline.drop(spring, table="year", start_date="2024-03-01", end_date="2024-04-30")
    pipeline.wait_for("a task in the middle of the days", lambda: pipeline.staged("year"))

    for service in services:
        clocks.start_again(service, ahead=TWO_HOURS)
    pipeline.drop(day, table="probe", start_date="2024-06-20")

    for service in services:
        pipeline.wait_for("a sentence that says why", partial(_says_why_it_does_not_work, stack, service))
    if work_goes_on:  # nobody hears of files; whoever asks otherwise is served, and the files with them
        pipeline.rest.trigger("request_partitions", mode="custom", table="probe", start_date="2024-06-21")
        pipeline.wait_for_done(spring, day)
    since = time.monotonic()
    for service in services:
        clocks.set(service, 0)

    conditions = {
        "all healthy": lambda: not stack.unhealthy(),
        "request done": lambda: pipeline.are_done(day),
        "year done": lambda: pipeline.are_done(spring),
    }
    seconds = pipeline.wait_for_all(conditions, since=since)
    recoveries.add(f"clocks of {' and '.join(services)} ahead, then right", seconds)
    pipeline.drop(f"after-{day}", table="probe", start_date="2024-06-20")
    pipeline.wait_for_done(f"after-{day}")


def test_a_service_whose_clock_goes_wrong_ends_and_works_again_once_it_is_right(
    stack: ContainerStack, pipeline: Pipeline, clocks: Clocks
) -> None:
    before = stack.inspect("dag-processor")["State"]["StartedAt"]
    clocks.set("dag-processor", TWO_HOURS)

    pipeline.wait_for("a sentence that says why", lambda: _says_why_it_does_not_work(stack, "dag-processor"))
    assert stack.inspect("dag-processor")["State"]["StartedAt"] != before
    # It ends once, and then waits.
    pipeline.wait_for("checks that fail", lambda: _last_checks(stack, "dag-processor", count=2) == [1, 1])
    clocks.set("dag-processor", 0)

    pipeline.wait_for("a healthy stack", lambda: not stack.unhealthy())
