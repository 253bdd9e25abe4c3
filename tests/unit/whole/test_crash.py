"""Wherever a process dies while it publishes: each file is the old one or the new one, and a second try completes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
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
from reloads.warehouse.access import state_of
from reloads.warehouse.commit_log import CommitLog
from reloads.warehouse.staging import remove_abandoned_folders
from reloads.warehouse.verification import verify_table
from tests.conftest import define_table
from tests.support.process_kill import SCRATCH, Killed, killed_after
from tests.support.sales_home import WRITTEN_AT, SalesHome, days, of_each_day

WEEK, ASKED = days("2025-01-03..2025-01-07"), days("2025-01-04..2025-01-06")
ORDERED = 'order_by = ["n"]'
BY_ORIGIN = f'keys = ["origin"]\n{ORDERED}'
MAY_BE_EMPTY = 'on_empty = "publish"'
OF_EWR = PartitionFilter(key_filters=({"origin": ("EWR",)},))
RUN = "run/tried"

Files = Mapping[str, tuple[int, bytes]]
"""By its path below the table, the time and the bytes of each file that readers see."""


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
        of_each_day("1 as x"),
        of_each_day("1 as x") + " where day <> date '2025-01-05'",
        Batch(ASKED),
        f"{ORDERED}\n{MAY_BE_EMPTY}",
    ),
    "nothing new": Case(of_each_day("1 as x"), of_each_day("1 as x") + " where true", Batch(ASKED)),
    "a value goes and one comes": Case(by_origin(1, "EWR", "JFK"), by_origin(1, "EWR", "LGA"), Batch(ASKED), BY_ORIGIN),
    "all values of a day go": Case(
        by_origin(1, "EWR", "JFK"),
        by_origin(1, "EWR", "JFK") + " where day <> date '2025-01-05'",
        Batch(ASKED),
        f"{BY_ORIGIN}\n{MAY_BE_EMPTY}",
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
    """A try that died after so many steps, and a second one that did not."""

    steps: int
    files_at_death: Files
    committed_at_death: Days
    """The days that the log says have changed."""
    second_outcome: Outcome
    files_after: Files
    committed_after: Days
    hidden_after: list[Path]
    """The files in the table's folder that readers pass over."""
    faults: list[str]
    """Where log, state, versions and folders do not agree."""
    misattributed: list[str]
    """The partitions of which the log says another run than the file's own footer."""
    stale: list[str]
    """What a request for stale partitions would still rewrite, and why."""
    staging_after: list[Path]


@dataclass(frozen=True)
class Crashes:
    """A batch, killed before each of its steps."""

    case: Case
    before: Files
    undisturbed: Files
    all: list[Crash]


def files(home: SalesHome) -> Files:
    folder = home.warehouse / "sales"
    paths = (path for path in folder.rglob("*") if not path.is_dir() and not is_hidden(path))
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def hidden(home: SalesHome) -> list[Path]:
    return [path for path in (home.warehouse / "sales").rglob("*") if is_hidden(path)]


def committed(home: SalesHome) -> Days:
    """The days that the runs of this module changed by the log, behind what was there before."""
    commits = CommitLog(home.warehouse, "sales").after(0)
    return Days.union(commit.changed_days() for commit in commits if commit.run == RUN)


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
    define_table(home.settings.tables, "sales", case.after, case.toml)


def restore(home: SalesHome, saved: Path) -> None:
    # As links, so that a version and what readers see of it are one file, as they were.
    shutil.rmtree(home.warehouse)
    shutil.copytree(saved, home.warehouse, copy_function=os.link)


def misattributed(home: SalesHome) -> list[str]:
    state, wrong = state_of(home.folder), list[str]()
    entries = state.read_all().entries
    for name, path in home.folder.published().items():
        commit = state.log.read(entries[name].version)
        run = pyarrow.parquet.read_metadata(path).metadata[b"reloads.run"]
        if commit is None or commit.run != run.decode():
            wrong.append(str(name))
    return wrong


def still_to_do(home: SalesHome, case: Case) -> list[str]:
    """What a request for the stale or missing ones of the same partitions would rewrite."""
    request = {"table": "sales", "start_date": str(min(ASKED)), "end_date": str(max(ASKED)), "only": "stale"}
    # Whether a value is gone or was never there is known of a whole day only.
    keys = {"keys": {"origin": ["EWR"]}} if case.batch.partition_filter.key_filters else {}
    lines = preview(home.settings, parse_request(request | keys), now=WRITTEN_AT)
    return [f"{line.partition}: {line.why}" for line in lines if line.is_planned]


def try_twice(home: SalesHome, case: Case, steps: int) -> Crash | None:
    """Die after so many steps and try again; None if the batch completes before."""
    try:
        with killed_after(steps, home.warehouse):
            home.rewrite(case.batch, run=RUN)
    except Killed:
        pass
    else:
        return None
    files_at_death, committed_at_death = files(home), committed(home)
    second_outcome = home.rewrite(case.batch, run=RUN)
    remove_abandoned_folders(home.warehouse)
    return Crash(
        steps,
        files_at_death,
        committed_at_death,
        second_outcome,
        files(home),
        committed(home),
        hidden(home),
        [fault.sentence for fault in verify_table(home.folder)],
        misattributed(home),
        still_to_do(home, case),
        home.staging(),
    )


@pytest.fixture(scope="module", params=list(CASES.values()), ids=list(CASES))
def crashes(request: pytest.FixtureRequest) -> Crashes:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        return crash_everywhere(Path(folder), request.param)


def crash_everywhere(folder: Path, case: Case) -> Crashes:
    home, saved = new_home(folder / "home"), folder / "saved"
    prepare(home, case)
    shutil.copytree(home.warehouse, saved, copy_function=os.link)
    before = files(home)
    assert home.rewrite(case.batch, run=RUN).failed == ()
    undisturbed = files(home)
    crashes: list[Crash] = []
    while True:
        restore(home, saved)
        crash = try_twice(home, case, steps=len(crashes))
        if not crash:
            return Crashes(case, before, undisturbed, crashes)
        crashes.append(crash)


def changed(before: Files, after: Files) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def days_of(names: Iterable[str]) -> Days:
    return Days.of(date.fromisoformat(name.partition("/")[0].removeprefix("day=")) for name in names)


def content(files: Files) -> dict[str, bytes]:
    return {name: data for name, (_, data) in files.items()}


def violations(crashes: Crashes, look: Callable[[Crash], object]) -> dict[int, object]:
    """What is wrong after a crash, by the number of steps before it; nothing where it is right."""
    by_steps = {crash.steps: look(crash) for crash in crashes.all}
    return {steps: violation for steps, violation in by_steps.items() if violation}


# what a dead try leaves


def test_each_file_is_the_old_one_or_the_new_one_and_readers_see_no_other(crashes: Crashes) -> None:
    old, new = content(crashes.before), content(crashes.undisturbed)
    assert crashes.all, "it was never killed, so it proves nothing"
    for crash in crashes.all:
        data = content(crash.files_at_death)
        for name in old.keys() | new.keys() | data.keys():
            assert data.get(name) in (old.get(name), new.get(name)), f"{name} after {crash.steps} steps"


def test_there_are_ends_before_amid_and_after_the_publishing(crashes: Crashes) -> None:
    counts = {len(changed(crashes.before, crash.files_at_death)) for crash in crashes.all}
    assert counts == set(range(len(changed(crashes.before, crashes.undisturbed)) + 1))


def test_what_is_to_stay_keeps_its_bytes_and_its_time(crashes: Crashes) -> None:
    stay = {name: file for name, file in crashes.before.items() if crashes.undisturbed.get(name) == file}
    for crash in crashes.all:
        for files_then in (crash.files_at_death, crash.files_after):
            assert {name: files_then.get(name) for name in stay} == stay, crash.steps


def test_a_change_is_in_the_log_before_readers_see_it(crashes: Crashes) -> None:
    def days_without_commit(crash: Crash) -> Days:
        return days_of(changed(crashes.before, crash.files_at_death)) - crash.committed_at_death

    assert violations(crashes, days_without_commit) == {}


def test_the_log_has_all_of_a_publication_or_nothing(crashes: Crashes) -> None:
    whole = days_of(changed(crashes.before, crashes.undisturbed))
    assert {crash.committed_at_death for crash in crashes.all} <= {Days(), whole}


# what a second try comes to


def test_a_second_try_completes(crashes: Crashes) -> None:
    for crash in crashes.all:
        assert crash.second_outcome.failed == ()
        assert crash.second_outcome.fulfilled == ASKED
        assert content(crash.files_after) == content(crashes.undisturbed), crash.steps


def test_what_the_first_try_published_is_not_published_again(crashes: Crashes) -> None:
    def changed_twice(crash: Crash) -> set[str]:
        first = changed(crashes.before, crash.files_at_death)
        return first & changed(crash.files_at_death, crash.files_after)

    assert violations(crashes, changed_twice) == {}


def test_after_a_second_try_the_log_has_what_changed_and_nothing_else(crashes: Crashes) -> None:
    whole = days_of(changed(crashes.before, crashes.undisturbed))
    assert violations(crashes, lambda crash: crash.committed_after != whole) == {}


def test_after_a_second_try_log_state_versions_and_folders_agree(crashes: Crashes) -> None:
    assert violations(crashes, lambda crash: crash.faults) == {}
    assert violations(crashes, lambda crash: crash.hidden_after) == {}


def test_after_a_second_try_the_log_names_the_run_that_wrote_each_file(crashes: Crashes) -> None:
    assert violations(crashes, lambda crash: crash.misattributed) == {}


def test_after_a_second_try_nothing_is_stale(crashes: Crashes) -> None:
    assert violations(crashes, lambda crash: crash.stale) == {}


def test_what_both_tries_changed_is_published_to_whoever_asked(crashes: Crashes) -> None:
    """The event of the table's asset names the days published; a day that is missing there is never announced."""

    def unannounced_days(crash: Crash) -> Days:
        return days_of(changed(crashes.before, crash.files_after)) - crash.second_outcome.published

    assert violations(crashes, unannounced_days) == {}


def test_days_that_came_out_the_same_are_not_published(crashes: Crashes) -> None:
    same = ASKED - days_of(changed(crashes.before, crashes.undisturbed))
    assert violations(crashes, lambda crash: crash.second_outcome.published & same) == {}


def test_what_a_dead_try_staged_is_removed(crashes: Crashes) -> None:
    # A lock that did not get its name yet is an empty file that nobody looks at; upkeep removes it.
    def abandoned(crash: Crash) -> list[Path]:
        return [path for path in crash.staging_after if path.suffix != ".tmp"]

    assert violations(crashes, abandoned) == {}


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
    define_table(home.settings.tables, "sales", of_each_day("2 as x"), ORDERED)
    shutil.copytree(home.warehouse, saved, copy_function=os.link)
    before = files(home)
    assert home.rewrite(YEAR, run=RUN).published == YEAR
    undisturbed = files(home)

    def is_replaced(day: date) -> bool:
        return home.file(day).stat().st_mtime_ns != before[f"day={day}/data.parquet"][0]

    moments: list[Callable[[], bool]] = [
        lambda: any(home.warehouse.glob(".versions/sales/*/2.parquet")),
        lambda: any(home.warehouse.glob("sales/*/.data.parquet.next")),
        lambda: any(home.warehouse.glob(".log/sales/2.json")),
        *(partial(is_replaced, date(2025, month, 1)) for month in (1, 6)),
    ]
    counts_of_changed: set[int] = set()
    for number, is_time in enumerate(moments):
        restore(home, saved)
        killed_once(home, is_time)
        files_at_death = files(home)
        different = changed(before, files_at_death)
        counts_of_changed.add(len(different))
        assert files_at_death.keys() == before.keys(), number
        for name, (_, data) in files_at_death.items():
            assert data in (before[name][1], undisturbed[name][1]), f"{name}, {number}"
        assert different <= {f"day={day}/data.parquet" for day in committed(home)}, number
        assert committed(home) in (Days(), YEAR), number
        assert home.rewrite(YEAR, run=RUN).fulfilled == YEAR
        assert content(files(home)) == content(undisturbed)
        assert verify_table(home.folder) == []
        assert hidden(home) == []
        remove_abandoned_folders(home.warehouse)
        assert [path for path in home.staging() if path.suffix != ".tmp"] == []
    assert counts_of_changed - {0, len(YEAR)}, "no kill came amid the publishing, so it proves nothing"
