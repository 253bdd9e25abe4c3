"""What several modules of tests share: a home with two tables, settings and a queue of it, and a chain of tables.

And how tests are given to processes that run side by side: those that share a stack stay in one process.
"""

import atexit
import os
import shutil
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from tempfile import mkdtemp

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling, Scheduling

from reloads.requests.queue import Queue
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from tests.support.chain import Chain
from tests.support.recoveries import summary
from tests.support.s3_proxy import S3Proxy, s3_proxy
from tests.support.s3_server import S3Server, s3_server

# Airflow makes folders in its home as soon as it is imported.
os.environ["AIRFLOW_HOME"] = mkdtemp(prefix="reloads-airflow-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

hypothesis.settings.register_profile("fast", deadline=None, max_examples=60)
hypothesis.settings.load_profile("fast")

THREE_ROWS_A_DAY = """
    select cast(midnight as date) as day, n as sale_id, n * 1.5 as amount
    from generate_series(date '2024-01-01', date '2026-12-31', interval 1 day) as d(midnight)
    cross join generate_series(1, 3) as numbers(n)
"""

DefineTable = Callable[..., Path]

STACKS = ("browser", "integration", "e2e")
"""The folders whose tests share a stack. They come first, because they take longest."""

ONE_AFTER_THE_OTHER = {"browser": "integration"}
"""Containers that come and go change the networks of this machine, and a browser then gives up what it is loading."""


REPEATED = ("test_stored_moves.py", "test_stored_warehouse.py", "test_table_moves.py")
"""Beside those of stacks, of whole histories and of Hypothesis: tests that do hundreds of times what others do once."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what takes long first, tests that share a stack above all; measure no coverage where it says nothing."""
    items.sort(key=lambda item: ([*STACKS, ""].index(_stack_of(item.nodeid)), item.path.parent.name != "whole"))
    for item in items:
        is_repeated = item.path.parent.name in (*STACKS, "whole") or item.path.name in REPEATED
        # To measure them takes a third of their time.
        if is_repeated or item.get_closest_marker("hypothesis"):
            item.add_marker("no_cover")


class TogetherScheduling(LoadScopeScheduling):
    """Gives the tests that share a stack to one process, and those of one module."""

    def _split_scope(self, nodeid: str) -> str:
        stack = _stack_of(nodeid)
        return ONE_AFTER_THE_OTHER.get(stack, stack) or nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """How tests are given to processes."""
    return TogetherScheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the tests of faults measured."""
    # Here, because the process that gives tests to the others reads no conftest of a folder below.
    properties: list[tuple[str, object]] = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                properties += report.user_properties
    if lines := summary(properties):
        terminalreporter.section("recovery after each fault")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test of a running stack what the programs of the stack said."""
    report = yield
    fixtures = getattr(item, "funcargs", {})
    stack = fixtures.get("stack") or fixtures.get("standalone")
    if report.failed and _stack_of(item.nodeid) and stack:
        report.sections.append(("logs of the stack", stack.logs()))
    return report


def _stack_of(nodeid: str) -> str:
    """The folder of the test if its tests share a stack."""
    folder = nodeid.partition("::")[0].rpartition("/")[0].rpartition("/")[2]
    return folder if folder in STACKS else ""


def define_table(tables: Path, name: str, query: str, toml: str = "", *, first_day: str = "2024-01-01") -> Path:
    """Write a table folder, or write it anew."""
    folder = tables / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "query.sql").write_text(query)
    (folder / "table.toml").write_text(f'day_column = "day"\nfirst_day = {first_day}\n{toml}\n')
    return folder


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server, which the environment names."""
    with s3_server() as server, pytest.MonkeyPatch.context() as patches:
        for name, value in server.environment().items():
            patches.setenv(name, value)
        yield server


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    """What stands before that server, notes what it is asked, and may refuse; the environment names it."""
    with s3_proxy(s3) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint)
        yield running


@pytest.fixture(scope="session", params=["folder", "store"])
def kind(request: pytest.FixtureRequest) -> str:
    """What the warehouse is: a test that asks for it runs on both."""
    if request.param == "store":
        request.getfixturevalue("s3")
    return str(request.param)


@pytest.fixture
def sales_tables(tmp_path: Path) -> Path:
    """Two tables with three rows a day: ``sales``, loaded daily, and ``visits``."""
    folder = tmp_path / "tables"
    define_table(folder, "sales", THREE_ROWS_A_DAY, 'order_by = ["sale_id"]\ndaily = true')
    define_table(folder, "visits", THREE_ROWS_A_DAY, 'order_by = ["sale_id"]')
    return folder


@pytest.fixture
def define(sales_tables: Path) -> DefineTable:
    """``define(name, query, toml)`` writes a table folder, or writes it anew."""

    def write(name: str, query: str, toml: str = "") -> Path:
        return define_table(sales_tables, name, query, toml)

    return write


@pytest.fixture
def sales_settings(tmp_path: Path, sales_tables: Path) -> Settings:
    """Settings of a home in ``tmp_path``, in UTC."""
    assert sales_tables.is_relative_to(tmp_path)
    (tmp_path / "landing").mkdir()
    return Settings.from_environment({"RELOADS_HOME": str(tmp_path), "RELOADS_TIME_ZONE": "UTC"})


@pytest.fixture
def queue(sales_settings: Settings) -> Queue:
    """The queue of that home, still empty."""
    return Queue(sales_settings.landing)


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Tables for tests that need no folder: ``flights`` from 2013 on, ``events`` from 2020, ``archive`` from 1700."""
    folder = tmp_path_factory.mktemp("catalog")
    for name, first_day in (("flights", "2013-01-01"), ("events", "2020-01-01"), ("archive", "1700-01-01")):
        define_table(folder, name, THREE_ROWS_A_DAY, first_day=first_day)
    return Catalog.load(folder)


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """Four tables that read one another, none of them loaded."""
    return Chain.at(tmp_path)


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    new_threads = [thread for thread in threading.enumerate() if thread not in before]
    # Threads of native pools that called Python once, as those of Delta Lake; nobody can join them.
    new_threads = [thread for thread in new_threads if not isinstance(thread, threading._DummyThread)]
    for thread in new_threads:
        # One that is only about to begin cannot be joined.
        thread._started.wait(timeout=2)  # type: ignore[attr-defined]
        thread.join(timeout=2)
    assert not [thread.name for thread in new_threads if thread.is_alive()], "the test left threads behind"
