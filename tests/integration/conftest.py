"""One stack in containers for all integration tests; without Docker they are skipped, or fail where it must be."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.integration.docker import require_docker
from tests.integration.pipeline import Pipeline
from tests.integration.recoveries import Recoveries
from tests.integration.stack import OURS, Stack, running_stack

CLONE = Path(__file__).resolve().parents[2]
SETTINGS = {
    # Airflow makes up for the last time at its start; from then on the daily load comes when a test asks for it.
    "RELOADS_DAILY_SCHEDULE": "0 0 29 2 *",
    "RELOADS_CATCH_UP_DAYS": "3",
}
# The first test builds the image, and a fault may take minutes to recover from on a busy machine.
TIMEOUT_SECONDS = 1800


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    require_docker()
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(OURS.match, list(os.environ)):
            patch.delenv(name)
        with running_stack(tmp_path_factory.mktemp("integration"), clone=CLONE, settings=SETTINGS) as stack:
            yield stack


@pytest.fixture(scope="session")
def pipeline(stack: Stack) -> Pipeline:
    pipeline = Pipeline(stack)

    def knows_all_tables() -> bool:
        known = {dag["dag_id"] for dag in pipeline.rest.get("/dags", limit=100)["dags"]}
        return {f"rewrite_{folder.name}" for folder in pipeline.tables.iterdir() if folder.is_dir()} <= known

    pipeline.wait_for("the DAGs of all tables", knows_all_tables)
    return pipeline


@pytest.fixture
def recoveries(request: pytest.FixtureRequest) -> Iterator[Recoveries]:
    recoveries = Recoveries()
    yield recoveries
    request.node.user_properties += recoveries.properties()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what the services said."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and stack:
        report.sections.append(("logs of the services", stack.logs()))
    return report
