"""One stack in containers for all integration tests; without Docker they are skipped, or fail where it must be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.container_stack import SETTING_NAMES, ContainerStack, running_stack
from tests.integration.docker import require_docker
from tests.support.pipeline import Pipeline
from tests.support.recoveries import Recoveries

SETTINGS = {
    # Airflow makes up for the last time at its start; from then on the daily load comes when a test asks for it.
    "RELOADS_DAILY_SCHEDULE": "0 0 29 2 *",
    "RELOADS_CATCH_UP_DAYS": "3",
}
# The first test builds the image, and a fault may take minutes to recover from on a busy machine.
TIMEOUT_SECONDS = 1800
PLACES = {"test_workers.py": 0, "test_clocks.py": 2}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The first have stacks of their own, which have ended before the one of all the others starts; and the last leave
    # that one with other clocks.
    items.sort(key=lambda item: PLACES.get(item.path.name, 1))
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


# Of the package and not of the session: a stack that idles takes a tenth of a processor from all other tests.


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerStack]:
    require_docker()
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(SETTING_NAMES.match, list(os.environ)):
            patch.delenv(name)
        with running_stack(tmp_path_factory.mktemp("integration"), settings=SETTINGS) as stack:
            yield stack


@pytest.fixture(scope="package")
def pipeline(stack: ContainerStack) -> Pipeline:
    return Pipeline(stack)


@pytest.fixture
def recoveries(request: pytest.FixtureRequest) -> Iterator[Recoveries]:
    recoveries = Recoveries()
    yield recoveries
    request.node.user_properties += recoveries.properties()
