"""Wherever a process dies while it publishes: each file is the old one or the new one, and a second try completes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import count
from pathlib import Path

import pyarrow.parquet
import pytest

from reloads.batch import Batch
from reloads.days import Days
from reloads.inspection.preview import preview
from reloads.outcome import Outcome
from reloads.partition_filter import PartitionFilter
from reloads.requests.request import parse_request
from reloads.settings import Settings
from reloads.warehouse.change_notices import read_notices
from reloads.warehouse.fingerprint import identity
from reloads.warehouse.ledger import read_ledger
from reloads.warehouse.staging import remove_abandoned_folders
from tests.conftest import define_table
from tests.support.sales_home import WRITTEN_AT, SalesHome, days, of_each_day
from tests.test_whole import Killed, killed_after

WEEK, ASKED = days("2025-01-03..2025-01-07"), days("2025-01-04..2025-01-06")
ORDERED = 'order_by = ["n"]'
BY_ORIGIN = f'keys = ["origin"]\n{ORDERED}'
OF_EWR = PartitionFilter(key_filters=({"origin": ("EWR",)},))
RUN = "run/tried"

Files = Mapping[str, tuple[int, bytes]]
"""By its path below the table, the time and the bytes of each file, hidden ones too."""


def by_origin(x: int, *origins: str) -> str:
    return f"from ({of_each_day(f'{x} as x, unnest({list(origins)}) as origin')})"


@dataclass(frozen=True)
class Case:
    """What is published of a table, and what a batch makes of it."""

    before: str | None
    after: str
    batch: Batch
    toml: str = ORDERED


CASES = {
    "a first load": Case(None, of_each_day("1 as x"), Batch(ASKED)),
    "other content": Case(of_each_day("1 as x"), of_each_day("2 as x"), Batch(ASKED)),
    "a day that stays the same": Case(
        of_each_day("1 as x"), of_each_day("if(day = date '2025-01-05', 1, 2) as x"), Batch(ASKED)
    ),
    "a day that loses its rows": Case(
        of_each_day("1 as x"), of_each_day("1 as x") + " where day <> date '2025-01-05'", Batch(ASKED)
    ),
    "nothing new": Case(of_each_day("1 as x"), of_each_day("1 as x") + " where true", Batch(ASKED)),
    "a value goes and one comes": Case(by_origin(1, "EWR", "JFK"), by_origin(1, "EWR", "LGA"), Batch(ASKED), BY_ORIGIN),
    "all values of a day go": Case(
        by_origin(1, "EWR", "JFK"),
        by_origin(1, "EWR", "JFK") + " where day <> date '2025-01-05'",
        Batch(ASKED),
        BY_ORIGIN,
    ),
    "one value alone": Case(by_origin(1, "EWR", "JFK"), by_origin(2, "EWR", "JFK"), Batch(ASKED, OF_EWR), BY_ORIGIN),
    "one value alone goes": Case(
        by_origin(1, "EWR", "JFK"),
        by_origin(1, "EWR", "JFK") + " where not (origin = 'EWR' and day = date '2025-01-05')",
        Batch(ASKED, OF_EWR),
        BY_ORIGIN,
    ),
}


@dataclass(frozen=True)
class Crash:
    """What a try that died after so many steps left, and what a second one came to."""

    steps: int
    left: Files
    noticed: Days
    again: Outcome
    after: Files
    noticed_after: Days
    misremembered: list[str]
    """The partitions of which the ledger says another file than the one that lies there."""
    misattributed: list[str]
    """The partitions of which the ledger says another run than the file's own footer."""
    stale: list[str]
    """What a request for what is stale would still do."""
    abandoned: list[Path]


@dataclass(frozen=True)
class Crashes:
    """A batch, killed before each of its steps."""

    case: Case
    before: Files
    undisturbed: Files
    all: list[Crash]


def files(home: SalesHome) -> Files:
    folder = home.warehouse / "sales"
    found = (path for path in folder.rglob("*") if not path.is_dir())
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def noticed(home: SalesHome) -> Days:
    return Days.of(day for notice in read_notices(home.warehouse, "sales") for day in notice.days)


def new_home(folder: Path) -> SalesHome:
    settings = Settings.from_environment({"RELOADS_HOME": str(folder), "RELOADS_TIME_ZONE": "UTC"})
    for place in (settings.landing, settings.tables, settings.warehouse):
        place.mkdir(parents=True)
    return SalesHome(settings)


def prepare(home: SalesHome, case: Case) -> None:
    """Publish what is there before, and define what is to come."""
    if case.before:
        define_table(home.settings.tables, "sales", case.before, case.toml)
        assert home.rewrite(WEEK).published == WEEK
        for notice in read_notices(home.warehouse, "sales"):
            notice.path.unlink()
    define_table(home.settings.tables, "sales", case.after, case.toml)


def restore(home: SalesHome, saved: Path) -> None:
    shutil.rmtree(home.warehouse)
    shutil.copytree(saved, home.warehouse)


def misremembered(home: SalesHome) -> list[str]:
    entries, published = read_ledger(home.warehouse, "sales").entries, home.folder.published()
    known = {name: entry.file for name, entry in entries.items() if entry.file}
    there = {name: identity(path) for name, path in published.items()}
    return sorted({str(name) for name, _ in known.items() ^ there.items()})


def misattributed(home: SalesHome) -> list[str]:
    entries, published = read_ledger(home.warehouse, "sales").entries, home.folder.published()
    runs = {name: pyarrow.parquet.read_metadata(path).metadata[b"reloads.run"] for name, path in published.items()}
    return [str(name) for name, run in runs.items() if name in entries and entries[name].run != run.decode()]


def still_to_do(home: SalesHome, case: Case) -> list[str]:
    """What a request for the stale or missing ones of the same partitions would rewrite."""
    asked = {"table": "sales", "start_date": str(min(ASKED)), "end_date": str(max(ASKED)), "only": "stale"}
    # Whether a value is gone or was never there is known of a whole day only.
    keys = {"keys": {"origin": ["EWR"]}} if case.batch.partition_filter.key_filters else {}
    lines = preview(home.settings, parse_request(asked | keys), now=WRITTEN_AT)
    return [f"{line.partition}: {line.why}" for line in lines if line.is_planned]


def crash(home: SalesHome, case: Case, steps: int) -> Crash | None:
    """Die after so many steps and try again; None if the batch completes before."""
    try:
        with killed_after(steps, home.warehouse):
            home.rewrite(case.batch, run=RUN)
    except Killed:
        pass
    else:
        return None
    left, told = files(home), noticed(home)
    again = home.rewrite(case.batch, run=RUN)
    remove_abandoned_folders(home.warehouse)
    return Crash(
        steps,
        left,
        told,
        again,
        files(home),
        noticed(home),
        misremembered(home),
        misattributed(home),
        still_to_do(home, case),
        home.staging(),
    )


@pytest.fixture(scope="module", params=list(CASES.values()), ids=list(CASES))
def crashes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Crashes:
    case: Case = request.param
    folder = tmp_path_factory.mktemp("crash")
    home, saved = new_home(folder / "home"), folder / "saved"
    prepare(home, case)
    shutil.copytree(home.warehouse, saved)
    before = files(home)
    assert home.rewrite(case.batch, run=RUN).failed == ()
    undisturbed = files(home)
    found: list[Crash] = []
    for steps in count():
        restore(home, saved)
        died = crash(home, case, steps)
        if not died:
            break
        found.append(died)
    return Crashes(case, before, undisturbed, found)


def changed(before: Files, after: Files) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def days_of(names: Iterable[str]) -> Days:
    return Days.of(date.fromisoformat(name.partition("/")[0].removeprefix("day=")) for name in names)


def content(found: Files) -> dict[str, bytes]:
    return {name: data for name, (_, data) in found.items()}


def by_steps(found: Mapping[int, object]) -> dict[int, object]:
    """What is wrong, by the number of steps before the end."""
    return {steps: wrong for steps, wrong in found.items() if wrong}


# what a dead try leaves


def test_each_file_is_the_old_one_or_the_new_one_and_nothing_else_lies_there(crashes: Crashes) -> None:
    old, new = content(crashes.before), content(crashes.undisturbed)
    assert crashes.all, "it was never killed, so it proves nothing"
    for crash in crashes.all:
        left = content(crash.left)
        for name in old.keys() | new.keys() | left.keys():
            assert left.get(name) in (old.get(name), new.get(name)), f"{name} after {crash.steps} steps"


def test_there_are_ends_before_amid_and_after_the_publishing(crashes: Crashes) -> None:
    counts = {len(changed(crashes.before, crash.left)) for crash in crashes.all}
    assert counts == set(range(len(changed(crashes.before, crashes.undisturbed)) + 1))


def test_what_is_to_stay_keeps_its_bytes_and_its_time(crashes: Crashes) -> None:
    stay = {name: file for name, file in crashes.before.items() if crashes.undisturbed.get(name) == file}
    for crash in crashes.all:
        for found in (crash.left, crash.after):
            assert {name: found.get(name) for name in stay} == stay, crash.steps


def test_a_change_was_noticed_before_it_was_made(crashes: Crashes) -> None:
    silent = {one.steps: days_of(changed(crashes.before, one.left)) - one.noticed for one in crashes.all}
    assert by_steps(silent) == {}


# what a second try comes to


def test_a_second_try_completes(crashes: Crashes) -> None:
    for crash in crashes.all:
        assert crash.again.failed == ()
        assert crash.again.fulfilled == ASKED
        assert content(crash.after) == content(crashes.undisturbed), crash.steps


def test_what_the_first_try_published_is_not_published_again(crashes: Crashes) -> None:
    again = {one.steps: changed(crashes.before, one.left) & changed(one.left, one.after) for one in crashes.all}
    assert by_steps(again) == {}


def test_after_a_second_try_all_that_changed_was_noticed(crashes: Crashes) -> None:
    silent = {one.steps: days_of(changed(crashes.before, one.after)) - one.noticed_after for one in crashes.all}
    assert by_steps(silent) == {}


def test_after_a_second_try_the_ledger_knows_the_files_there(crashes: Crashes) -> None:
    assert by_steps({one.steps: one.misremembered for one in crashes.all}) == {}


def test_after_a_second_try_the_ledger_names_the_run_that_wrote_each_file(crashes: Crashes) -> None:
    assert by_steps({one.steps: one.misattributed for one in crashes.all}) == {}


def test_after_a_second_try_nothing_is_stale(crashes: Crashes) -> None:
    assert by_steps({one.steps: one.stale for one in crashes.all}) == {}


def test_what_both_tries_changed_is_published_to_whoever_asked(crashes: Crashes) -> None:
    """Else the event of the table's asset, which names the days published, never tells of them."""
    untold = {one.steps: days_of(changed(crashes.before, one.after)) - one.again.published for one in crashes.all}
    assert by_steps(untold) == {}


def test_days_that_came_out_the_same_are_not_published(crashes: Crashes) -> None:
    same = ASKED - days_of(changed(crashes.before, crashes.undisturbed))
    assert by_steps({one.steps: one.again.published & same for one in crashes.all}) == {}


def test_what_a_dead_try_staged_is_removed(crashes: Crashes) -> None:
    # A lock that did not get its name yet is left to upkeep: an empty file that nobody looks at.
    left = {one.steps: [path for path in one.abandoned if path.suffix != ".tmp"] for one in crashes.all}
    assert by_steps(left) == {}


# killed for good

YEAR = Days.between(date(2025, 1, 1), date(2025, 12, 31))
REWRITE_YEAR = """
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from reloads.days import Days
from reloads.rewriting.engine import Share
from reloads.rewriting.rewrite import rewrite_batch
from reloads.batch import Batch
from reloads.rewriting.context import Locations, Provenance
from reloads.tables.definition import load_table
year = Days.between(date(2025, 1, 1), date(2025, 12, 31))
rewrite_batch(
    Batch(year, requests={"r1": year, "r'2": year}),
    table=load_table(Path(sys.argv[1]), "sales"),
    place=Locations(Path(sys.argv[2]), Path(sys.argv[2])),
    share=Share(threads=1, memory_mb=256),
    provenance=Provenance("run/tried", datetime(2025, 3, 30, 1, 2, 3, tzinfo=UTC)),
)
"""


def killed_once(home: SalesHome, is_time: Callable[[], bool]) -> None:
    arguments = [sys.executable, "-c", REWRITE_YEAR, str(home.settings.tables), str(home.warehouse)]
    with subprocess.Popen(arguments) as process:
        while not is_time() and process.poll() is None:
            pass  # as soon as it is so, and not a moment later
        process.kill()


def test_a_process_killed_while_it_publishes_leaves_old_and_new_files_and_a_second_try_completes(
    tmp_path: Path,
) -> None:
    home, saved = new_home(tmp_path / "home"), tmp_path / "saved"
    define_table(home.settings.tables, "sales", of_each_day("1 as x"), ORDERED)
    assert home.rewrite(YEAR).published == YEAR
    for path in home.warehouse.glob(".[ch]*/sales/*.json"):  # notices and acts of before
        path.unlink()
    define_table(home.settings.tables, "sales", of_each_day("2 as x"), ORDERED)
    shutil.copytree(home.warehouse, saved)
    before = files(home)
    assert home.rewrite(YEAR, run=RUN).published == YEAR
    undisturbed = files(home)

    def is_replaced(day: date) -> bool:
        return home.file(day).stat().st_mtime_ns != before[f"day={day}/data.parquet"][0]

    moments: list[Callable[[], bool]] = [
        lambda: any(home.warehouse.glob(".changes/sales/*.json")),
        lambda: any(home.warehouse.glob(".history/sales/*.json")),
        *(partial(is_replaced, date(2025, month, 1)) for month in (1, 6)),
    ]
    seen = set()
    for number, is_time in enumerate(moments):
        restore(home, saved)
        killed_once(home, is_time)
        left, different = files(home), changed(before, files(home))
        seen.add(len(different))
        assert left.keys() == before.keys(), number
        assert all(left[name][1] in (before[name][1], undisturbed[name][1]) for name in left), number
        assert different <= {f"day={day}/data.parquet" for day in noticed(home)}, number
        assert home.rewrite(YEAR, run=RUN).fulfilled == YEAR
        assert content(files(home)) == content(undisturbed)
        assert misremembered(home) == []
        remove_abandoned_folders(home.warehouse)
        assert [path for path in home.staging() if path.suffix != ".tmp"] == []
    assert seen - {0, len(YEAR)}, "no kill came amid the publishing, so it proves nothing"
