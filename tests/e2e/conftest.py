"""One stack for all end-to-end tests: real Airflow processes and PostgreSQL in a temporary home."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.make_source import make_source
from stack.native.folders import Folders
from tests.e2e.native_stack import NativeStackUnderTest, running_stack
from tests.e2e.tables import lay_out_gated
from tests.support.clone import CLONE
from tests.support.pipeline import Pipeline

SETTINGS = {
    "RELOADS_SOURCE": "source",
    "RELOADS_RETRIES": "1",
    "RELOADS_RESCAN_SECONDS": "5",
    # Airflow makes up for the last time at its start; from then on the daily load comes when a test asks for it.
    "RELOADS_DAILY_SCHEDULE": "0 0 29 2 *",
    "RELOADS_CATCH_UP_DAYS": "3",
    "AIRFLOW_USERS": "ada:user,vera:viewer",
}
OWN_MODULES = ("test_examples.py", "test_monitoring.py", "test_object_store.py", "test_wheel.py")
OWN_STACKS = [Path(__file__).with_name(name) for name in OWN_MODULES]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules with a stack of their own come first: each has ended it before the next one starts."""
    items.sort(key=lambda item: item.path not in OWN_STACKS)


# Of the package and not of the session: a stack that idles takes a tenth of a processor from all other tests.


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeStackUnderTest]:
    # The blank is deliberate: a home may be called anything.
    folders = Folders(home=tmp_path_factory.mktemp("e2e") / "a home", clone=CLONE)
    lay_out_gated(folders.home)
    make_source(folders.home / "source")
    with running_stack(folders, SETTINGS) as running:
        yield NativeStackUnderTest(running)


@pytest.fixture(scope="package")
def pipeline(stack: NativeStackUnderTest) -> Pipeline:
    return Pipeline(stack)
