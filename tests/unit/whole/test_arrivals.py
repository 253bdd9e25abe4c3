"""Raw files that come, change and go in whatever order: each day comes right, and nobody is asked for nothing.

A state machine plays the senders of five sources, the people who ask, and the steps of the runs of six tables, one by
one, late, twice or not at all, killed anywhere, while files change under them. A model beside it (``arrivals_model``)
tells from the files alone what each partition may hold.

    ARRIVALS_EXAMPLES=500    tries so many other histories
    ARRIVALS_STEPS=40        of so many steps each
    ARRIVALS_SHRINK=1        looks for the shortest history that fails
"""

# ruff: noqa: FBT001 - a rule takes what it draws, by name

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest.mock import patch

import hypothesis
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from reloads.days import Days
from reloads.errors import ReloadsError
from reloads.outcome import Outcome
from reloads.requests.control import cancel_request
from reloads.requests.record import Record
from reloads.rewriting import opening
from reloads.rewriting import rewrite as rewrite_module
from reloads.rewriting.stage import Stage
from tests.support.process_kill import SCRATCH, STEPS, Killed, killed_after
from tests.unit.whole.arrivals_model import (
    ALL_DAYS,
    ARRIVING,
    BASE,
    DAYS,
    DOWNSTREAM,
    GARBAGE,
    KEYS,
    TABLES,
    Content,
    Late,
    Missing,
    Model,
    Raw,
    Refused,
    downstream_result,
    has_inputs,
    kind_of,
)
from tests.unit.whole.arrivals_world import ArrivalsHome, all_paths, good_lines
from tests.unit.whole.senders import BucketSenders, Senders

days = st.sampled_from(DAYS)
tables = st.sampled_from(TABLES)
numbers = st.integers(0, 100)
kills = st.none() | st.none() | st.integers(0, 12) | st.integers(0, 60)
values = st.sampled_from([0, 1, 1, 2, 3, 31])
moments_of_a_batch = st.sampled_from(["begin", "slice", "check", "check", "end"])
SAFE_STEPS = {name: getattr(os, name) for name in STEPS}
RETRIES = 3
LOST = "the task ended without a result"

Delivery = tuple[str, Content | None, bool]
"""A file, its content or that it goes, and whether it comes by a rename."""


@st.composite
def contents(draw: st.DrawFn, path: str) -> Content:
    if draw(st.integers(0, 9)) == 0:
        return GARBAGE
    kind = kind_of(path)
    if kind == "notes":
        return ((draw(values),),)
    if kind == "weather":
        listed = [day for day in DAYS if path == f"weather/{day:%Y-%m}.csv" and draw(st.booleans())]
        return tuple((str(day), draw(values)) for day in listed)
    if kind == "clicks":
        return draw(st.lists(st.tuples(st.sampled_from(KEYS), values), max_size=5).map(tuple))
    return draw(st.lists(st.tuples(values), max_size=3).map(tuple))


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[str, Content, bool]:
    path = draw(st.sampled_from(all_paths()))
    return path, draw(contents(path)), draw(st.booleans())


@dataclass
class Run:
    """A run of one table."""

    table: str
    name: str
    batches: list[dict[str, Any]]
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    begun: int = 0


class Arrivals(RuleBasedStateMachine):
    """Everything that can happen, in any order."""

    def __init__(self) -> None:
        super().__init__()
        home = Path(mkdtemp(dir=SCRATCH))
        self.world = ArrivalsHome(home, self.senders(home))
        self.model = Model()
        self.runs: dict[str, Run] = {}
        self.ended_runs: list[Run] = []
        self.is_disturbed = False
        """Whether a process was killed, so that somebody has to come by before all is well."""
        self._numbers = count(1)

    def senders(self, _home: Path) -> Senders | None:
        """Who sends files; into the source folder of the home where it is None."""
        return None

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            shutil.rmtree(self.world.home, ignore_errors=True)

    def act(
        self,
        act: Callable[[], object],
        kill: int | None = None,
        *,
        allowed: Mapping[str, set[date]] | None = None,
        is_undo: bool = False,
    ) -> bool:
        """Do a step that may change these days; check what it did; whether it was killed."""
        before, begin = self.world.records(), len(self.world.moments) - 1
        published = len(self.model.history) - 1
        is_killed = False
        try:
            with killed_after(kill, self.world.home):
                act()
        except Killed:
            is_killed = self.is_disturbed = True
        self.model.observe(self.world.cells(), self.world.moments, begin=begin, allowed=allowed or {}, is_undo=is_undo)
        if is_killed:
            for table, table_days in (allowed or {}).items():
                for day in table_days:
                    known = self.model.late.setdefault((table, day), Late(begin, published, is_undo))
                    known.is_undo |= is_undo
        self._check_records(before, self.world.records())
        return is_killed

    def _check_records(self, before: Mapping[str, Record], after: Mapping[str, Record]) -> None:
        for record in after.values():
            old = before.get(record.id)
            if old is None and record.mode == "arrival":
                self._check_arrival(record)
            given_up = record.cancelled - (old.cancelled if old else Days())
            failures = [each for each in record.failed if LOST in each.error]
            lost = Days.union(each.days for each in failures) - (old.failed_days if old else Days())
            for day in given_up | lost:
                self._excuse(record.table, day)

    def _check_arrival(self, record: Record) -> None:
        """Files ask for days whose files are all there, and once for each that they are."""
        for day in record.days:
            result = self.world.moment.result(record.table, day)
            assert not isinstance(result, Missing), f"{record.id} asks for {day}, but {result}"
            stay = self.world.stay_of(record.table, day)
            asked = self.model.asked.get((record.table, day))
            assert asked != stay, f"{record.id} asks for {day} again, by {stay}"
            self.model.asked[record.table, day] = stay

    def _excuse(self, table: str, day: date) -> None:
        self.model.excused[table, day] = self.world.version_of(table, day) if table in BASE else None

    # what senders do

    @initialize(left_out=st.sets(st.sampled_from(all_paths()), max_size=8), is_loaded=st.booleans())
    def begin(self, left_out: set[str], is_loaded: bool) -> None:
        """Most files are there, and mostly loaded."""
        for number, path in enumerate(path for path in all_paths() if path not in left_out):
            if number % 5 or not path.startswith(("notes", "clicks")):
                self.world.deliver_file(path, good_lines(path))
        for day in DAYS[1:]:
            self.world.set_marker(day, is_there=True)
        if is_loaded:
            self._drain(all_tables=False)

    @rule(delivery=deliveries())
    def deliver(self, delivery: tuple[str, Content, bool]) -> None:
        path, content, by_rename = delivery
        self.world.deliver_file(path, content, by_rename=by_rename)

    @rule(delivery=deliveries(), other=st.none() | deliveries(), kill=kills, at=moments_of_a_batch)
    def deliver_and_load(
        self, delivery: tuple[str, Content, bool], other: tuple[str, Content, bool] | None, kill: int | None, at: str
    ) -> None:
        """A file, the wake-up after it, and the run, while another file comes, of which a task may be killed."""
        self._deliver_and_load(delivery, other, kill, at)

    @rule(data=st.data(), pick=numbers, kill=kills, at=moments_of_a_batch, by_rename=st.booleans())
    def correct_twice(self, data: st.DataObject, pick: int, kill: int | None, at: str, by_rename: bool) -> None:
        """A file that is there is corrected, and once more while it is read, or removed."""
        path = self._some_file(pick, "clicks" if at == "slice" else "")
        if path is None:
            return
        first, second = data.draw(contents(path)), data.draw(st.none() | contents(path))
        self._deliver_and_load((path, first, by_rename), (path, second, not by_rename), kill, at)

    def _deliver_and_load(self, delivery: Delivery, other: Delivery | None, kill: int | None, at: str) -> None:
        path, content, by_rename = delivery
        assert content is not None
        self.world.deliver_file(path, content, by_rename=by_rename)
        self.act(self.world.look)
        table = {"notes": "flights"}.get(kind_of(path), kind_of(path))
        self._work(table, kill=kill, change=other, at=at)

    @rule(rows=st.lists(st.tuples(values), min_size=1, max_size=2).map(tuple), picked=st.sets(days))
    def deliver_flights(self, rows: Raw, picked: set[date]) -> None:
        """Several days at once."""
        for day in sorted(picked):
            self.world.deliver_file(f"flights/{day}.csv", rows)

    @rule(day=days, rows=contents(f"clicks/{DAYS[0]}/p1.csv"), part=st.sampled_from(["p1", "p2"]))
    def deliver_clicks(self, day: date, rows: Content, part: str) -> None:
        """A part, and the marker after it."""
        self.world.deliver_file(f"clicks/{day}/{part}.csv", rows)
        self.world.set_marker(day, is_there=True)

    @rule(day=days, is_there=st.booleans())
    def mark(self, day: date, is_there: bool) -> None:
        self.world.set_marker(day, is_there=is_there)

    @rule(pick=numbers, way=st.sampled_from(["equal", "equal by rename", "remove", "remove", "out and in"]))
    def touch(self, pick: int, way: str) -> None:
        """The file is written again as it was, goes, or goes and comes back."""
        path = self._some_file(pick)
        if path is None:
            return
        content = self.world.content(path)
        if way == "remove":
            self.world.remove(path)
        elif way == "out and in":
            self.world.move_out_and_in(path)
        elif content is not None:
            self.world.deliver_file(path, content, by_rename=way == "equal by rename")

    @precondition(lambda self: not self.world.half_written)
    @rule(day=days, rows=st.lists(st.tuples(values), min_size=2, max_size=4).map(tuple))
    def write_half(self, day: date, rows: Raw) -> None:
        self.world.write_half(f"flights/{day}.csv", rows)

    @precondition(lambda self: self.world.half_written)
    @rule()
    def finish_writing(self) -> None:
        self.world.finish_writing()

    @precondition(lambda self: not self.world.moment.away)
    @rule(folder=st.sampled_from(["flights", "notes", "clicks", "weather", "late"]), is_mount=st.booleans())
    def take_folder_away(self, folder: str, is_mount: bool) -> None:
        self.world.take_folder_away(folder, leaves_mount_point=is_mount)

    @precondition(lambda self: self.world.moment.away)
    @rule()
    def bring_folders_back(self) -> None:
        self.world.bring_folders_back()

    def _some_file(self, pick: int, kind: str = "") -> str | None:
        paths = [path for path in all_paths() if path.startswith(kind) and self.world.content(path) is not None]
        return paths[pick % len(paths)] if paths else None

    # what people and the clock do

    @rule(kill=kills)
    def look(self, kill: int | None) -> None:
        """The wake-up looks for files."""
        self.act(self.world.look, kill)

    @rule(kill=kills)
    def wake_up(self, kill: int | None) -> None:
        """The wake-up looks at the drop folder."""
        self.act(self.world.collect, kill)

    @rule(kill=kills)
    def tick_daily(self, kill: int | None) -> None:
        self.act(self.world.strike, kill)

    @rule(table=tables, first=days, last=days, only=st.sampled_from(["all", "stale", "missing"]), by_key=st.booleans())
    def ask(self, table: str, first: date, last: date, only: str, by_key: bool) -> None:
        fields: dict[str, Any] = {"keys": {"k": ["a"]}} if by_key and table == "clicks" else {}
        first, last = sorted([first, last])
        self.world.drop({"table": table, "start_date": str(first), "end_date": str(last), "only": only, **fields})
        self.act(self.world.collect)

    @precondition(lambda self: self.world.queue.records("accepted"))
    @rule(pick=numbers, kill=kills)
    def cancel(self, pick: int, kill: int | None) -> None:
        accepted = self.world.queue.records("accepted")
        request = accepted[pick % len(accepted)].id

        def act() -> None:
            with suppress(ReloadsError):
                cancel_request(self.world.queue, request, now=self.world.now())

        self.act(act, kill)

    @precondition(lambda self: self._ended())
    @rule(pick=numbers)
    def retry(self, pick: int) -> None:
        ended = self._ended()
        request = ended[pick % len(ended)].id
        self.act(lambda: self.world.retry(request))

    def _ended(self) -> list[Record]:
        return [*self.world.queue.records("failed"), *self.world.queue.records("cancelled")]

    @precondition(lambda self: self.world.queue.records("done"))
    @rule(pick=numbers, kill=kills)
    def undo(self, pick: int, kill: int | None) -> None:
        candidates = [record for record in self.world.queue.records("done") if record.published]
        if not candidates:
            return
        candidates.sort(key=lambda record: record.finished_at or record.accepted_at, reverse=True)
        record = candidates[pick % min(4, len(candidates))]

        def act() -> None:
            with suppress(ReloadsError):
                self.world.undo(record.id)

        begin = len(self.model.history)
        self.act(act, kill, allowed={record.table: set(record.days)}, is_undo=True)
        before, after = self.model.history[begin - 1], self.model.history[-1]
        for day in record.days:
            is_changed = any(
                before.get(cell) != after.get(cell)
                for cell in before.keys() | after.keys()
                if cell[:2] == (record.table, day)
            )
            if is_changed or kill is not None:
                self._excuse(record.table, day)

    @rule(
        table=st.sampled_from(BASE),
        first=days,
        last=days,
        only=st.sampled_from(["all", "stale"]),
        kill=kills,
    )
    def run_locally(self, table: str, first: date, last: date, only: str, kill: int | None) -> None:
        """``reloads run`` beside all the rest."""
        first, last = sorted([first, last])
        allowed = {table: set(Days.between(first, last))}
        allowed |= {name: set(ALL_DAYS) for name, inputs in DOWNSTREAM.items() if table in inputs}
        before = self.world.records()
        if self.world.half_written:
            return  # it would wait for the sender
        self.act(lambda: self.world.run(table, str(first), str(last), only=only), kill, allowed=allowed)
        for record in self.world.records().values():
            if record.id not in before and record.finished_at and record.table in BASE:
                self._note_loaded(record.table, record.fulfilled)
            if record.id not in before and record.finished_at and record.table in DOWNSTREAM:
                for day in record.fulfilled:
                    self.model.excused.pop((record.table, day), None)

    # the steps of runs

    @rule(pick=numbers, kill=kills)
    def plan(self, pick: int, kill: int | None) -> None:
        busy = self._busy_tables()
        candidates = [*busy, *busy, *TABLES]
        self._plan(candidates[pick % len(candidates)], kill)

    def _busy_tables(self) -> list[str]:
        return sorted({record.table for record in self.world.queue.records("accepted")} | self.runs.keys())

    def _plan(self, table: str, kill: int | None) -> None:
        """Plan a run; the one before it is given up."""
        if old := self.runs.pop(table, None):
            self.ended_runs.append(old)
        planned: list[list[dict[str, Any]]] = []
        if self.act(lambda: planned.append(self.world.plan(table)), kill):
            return
        accepted = {record.id: record for record in self.world.queue.accepted(table)}
        for batch in planned[0]:
            asked = Days.union(accepted[request].outstanding for request in batch["requests"])
            assert not Days.parse(batch["days"]) - asked, f"{batch} has days that nobody asked for"
        self.runs[table] = Run(table, f"run/{next(self._numbers)}", planned[0])

    @precondition(lambda self: self._unfinished())
    @rule(pick=numbers, kill=kills, change=st.none() | deliveries(), at=moments_of_a_batch)
    def rewrite(self, pick: int, kill: int | None, change: Delivery | None, at: str) -> None:
        """Do the next task, while a file may change; one that was killed is lost, or runs again."""
        runs = self._unfinished()
        self._rewrite_next(runs[pick % len(runs)], kill, change, at)

    def _unfinished(self) -> list[Run]:
        return [run for run in self.runs.values() if run.begun < len(run.batches)]

    def _rewrite_next(self, run: Run, kill: int | None = None, change: Delivery | None = None, at: str = "end") -> None:
        run.begun += 1
        if not self._rewrite(run, run.begun - 1, kill, change, at) and (kill or 0) % 2:
            run.begun -= 1

    @precondition(lambda self: any(run.begun for run in (*self.runs.values(), *self.ended_runs)))
    @rule(pick=numbers, kill=kills)
    def rewrite_again(self, pick: int, kill: int | None) -> None:
        """A task that has ended, or of a run that was given up, goes on; nobody waits for what it says."""
        known = [*self.runs.values(), *self.ended_runs]
        ended = [(run, number) for run in known for number in range(run.begun)]
        self._rewrite(*ended[pick % len(ended)], kill, None, "end", is_heard=False)

    def _rewrite(
        self,
        run: Run,
        number: int,
        kill: int | None,
        change: Delivery | None,
        at: str,
        *,
        is_heard: bool = True,
    ) -> bool:
        """Do a batch; whether it came to an end."""
        batch, begin = run.batches[number], len(self.world.moments) - 1
        batch_days = set(Days.parse(batch["days"]))
        outcomes: list[dict[str, Any]] = []

        def act() -> None:
            with _changing_files(self.world, change, at):
                outcomes.append(self.world.rewrite(run.table, batch, run.name))

        if self.act(act, kill, allowed={run.table: batch_days}):
            return False
        for _ in range(RETRIES):
            if not any(failure.transient for failure in Outcome.model_validate(outcomes[-1]).failed):
                break
            # As Airflow does; nobody changes a file this time.
            change, begin = None, len(self.world.moments) - 1
            self.act(act, allowed={run.table: batch_days})
        outcome = outcomes[-1]
        for day in batch_days:
            self.model.late.pop((run.table, day), None)
        if is_heard:
            run.outcomes.append(outcome)
            self._check_outcome(run, batch, Outcome.model_validate(outcome), begin)
        return True

    def _check_outcome(self, run: Run, batch: Mapping[str, Any], outcome: Outcome, begin: int) -> None:
        """Each day came to what its files say, whatever lies there of the others."""
        postponed = outcome.postponed_days
        superseded = Days.union(each.days for each in outcome.failed if each.superseded)
        loaded = outcome.published | outcome.unchanged
        assert not postponed & loaded - outcome.published, outcome
        if run.table in DOWNSTREAM:
            failed_days = outcome.failed_days - superseded
            if self._are_columns_known(run.table):
                assert not failed_days, outcome.failed
            for day in failed_days:
                self._excuse(run.table, day)
            for day in loaded:
                self.model.excused.pop((run.table, day), None)
            return
        for day in Days.parse(batch["days"]) - outcome.cancelled:
            results = [moment.result(run.table, day) for moment in self.world.moments[begin:]]
            if all(isinstance(result, Missing) for result in results):
                assert day in postponed, f"{run.table} {day} has no files: {outcome}"
                assert day not in outcome.failed_days, outcome
                assert day not in outcome.unchanged, outcome
            elif all(isinstance(result, Refused) for result in results):
                assert day in outcome.failed_days, f"{run.table} {day} is {results}: {outcome}"
            elif all(isinstance(result, dict) for result in results):
                assert day in loaded or day in superseded, f"{run.table} {day} is {results}: {outcome}"
        if not _has_keys(batch) and len(self.world.moments) - 1 == begin:
            self._note_loaded(run.table, loaded - postponed - outcome.failed_days)

    def _are_columns_known(self, table: str) -> bool:
        """Whether each input was loaded once, or has a file: before, nobody knows its columns."""
        for name in DOWNSTREAM[table]:
            is_loaded = any(cell[0] == name for cells in self.model.history for cell in cells)
            has_file = any(path.startswith(f"{name}/") for path in self.world.moment.files)
            if not is_loaded and (not has_file or name in self.world.moment.away):
                return False
        return True

    def _note_loaded(self, table: str, loaded: Days) -> None:
        for day in loaded:
            self.model.asked[table, day] = self.world.stay_of(table, day)
            self.model.excused.pop((table, day), None)

    @precondition(lambda self: any(run.begun or not run.batches for run in self.runs.values()))
    @rule(pick=numbers, kill=kills, is_repeated=st.booleans())
    def settle(self, pick: int, kill: int | None, is_repeated: bool) -> None:
        runs = [run for run in self.runs.values() if run.begun or not run.batches]
        run = runs[pick % len(runs)]
        is_killed = self._settle(run, kill)
        if is_repeated:
            is_killed = self._settle(run)
        if not is_killed:
            self.ended_runs.append(self.runs.pop(run.table))

    def _settle(self, run: Run, kill: int | None = None, announced: set[str] | None = None) -> bool:
        def act() -> None:
            told = self.world.settle_and_tell(run.table, run.batches, run.outcomes, run.name)
            if announced is not None:
                announced.update(each.table for each in told)

        return self.act(act, kill)

    @precondition(lambda self: self.world.queue.records("accepted"))
    @rule(pick=numbers, kill=kills, change=st.none() | deliveries(), at=moments_of_a_batch)
    def work(self, pick: int, kill: int | None, change: Delivery | None, at: str) -> None:
        busy = self._busy_tables()
        self._work(busy[pick % len(busy)], kill=kill, change=change, at=at)

    def _work(
        self,
        table: str,
        *,
        kill: int | None = None,
        change: Delivery | None = None,
        at: str = "end",
    ) -> set[str]:
        """A whole run; returns the tables that it announces."""
        self._plan(table, None)
        run, announced = self.runs[table], set[str]()
        while run.begun < len(run.batches):
            self._rewrite_next(run, kill, change, at)
            kill = change = None
        self._settle(run, announced=announced)
        self.ended_runs.append(self.runs.pop(table))
        return announced

    # the end

    def _end(self) -> None:
        """Everything is put in place, and then those who are announced work until nobody is."""
        self.world.bring_folders_back()
        self.world.finish_writing()
        self.world.mend_garbage()
        # The task of a run that is still at work fails or ends; here it is given up, and its requests stay.
        self._drain(all_tables=self.is_disturbed)
        self._assert_complete()
        before = self.world.records()
        assert not self.world.look(), "a second look finds something"
        assert self.world.records() == before

    def _drain(self, *, all_tables: bool) -> None:
        announced = set(TABLES) if all_tables else set()
        for _ in range(40):
            before = self.world.records()
            intake: list[Any] = []
            self.act(lambda intake=intake: intake.extend(self.world.collect().announce))  # type: ignore[misc]
            self.act(lambda intake=intake: intake.extend(self.world.look()))  # type: ignore[misc]
            announced |= {each.table for each in intake}
            todo, announced = [table for table in TABLES if table in announced], set()
            for table in todo:
                announced |= self._work(table)
            if not announced and _progress(self.world.records()) == _progress(before):
                return
        raise AssertionError("it never ends")

    def _assert_complete(self) -> None:
        for record in self.world.queue.records("accepted"):
            assert record.outstanding == record.outstanding & record.waiting_days, f"{record} does not wait for files"
            for day in record.outstanding:
                assert isinstance(self.world.moment.result(record.table, day), Missing), f"{record.id} waits on {day}"
        for table in ARRIVING:
            for day in ALL_DAYS:
                self._assert_day(table, day)
        for table in DOWNSTREAM:
            for day in ALL_DAYS:
                self._assert_downstream_day(table, day)
        assert not list((self.world.settings.warehouse / ".staging").glob("*")) or self.is_disturbed

    def _assert_day(self, table: str, day: date) -> None:
        result = self.world.moment.result(table, day)
        version = self.world.version_of(table, day)
        if not isinstance(result, dict) or self.model.excused.get((table, day)) == version:
            return
        found = {cell[2]: rows for cell, rows in self.model.cells.items() if cell[:2] == (table, day)}
        assert found == result, f"{table} {day} holds {found}, and its files say {result}"

    def _assert_downstream_day(self, table: str, day: date) -> None:
        if (table, day) in self.model.excused:
            return
        found = self.model.cells.get((table, day, ""))
        if found is None:
            assert not has_inputs(table, day, self.model.cells), f"{table} {day} is not there"
            return
        expected = downstream_result(table, day, self.model.cells)
        assert found == expected, f"{table} {day} holds {found}, and its inputs say {expected}"


@contextmanager
def _living() -> Iterator[None]:
    """Senders live on where a process of ours is about to be killed."""
    with ExitStack() as patches:
        for name, step in SAFE_STEPS.items():
            patches.enter_context(patch.object(os, name, step))
        yield


@contextmanager
def _changing_files(world: ArrivalsHome, change: Delivery | None, at: str) -> Iterator[None]:
    """Somebody writes a file while the batch is at work: after its first look, between its queries, or at its end."""
    if change is None:
        yield
        return
    place, name = {
        "begin": (opening, "link_inputs"),
        "slice": (Stage, "_copy"),
        "check": (rewrite_module, "validate_rows"),
        "end": (rewrite_module, "compare"),
    }[at]
    original, changes = getattr(place, name), [change]
    calls = count(1)

    def act_and_go_on(*arguments: Any, **options: Any) -> Any:
        # The first slice is read before.
        if changes and (at != "slice" or next(calls) > 1):
            path, content, by_rename = changes.pop()
            with _living():
                if content is None:
                    world.remove(path)
                else:
                    world.deliver_file(path, content, by_rename=by_rename)
        return original(*arguments, **options)

    with patch.object(place, name, act_and_go_on):
        yield


def _has_keys(batch: Mapping[str, Any]) -> bool:
    return bool(batch["partition_filter"]["key_filters"])


def _progress(records: Mapping[str, Record]) -> dict[str, tuple[Days, bool]]:
    return {name: (record.outstanding, bool(record.finished_at)) for name, record in records.items()}


EXAMPLES = int(os.environ.get("ARRIVALS_EXAMPLES", "10"))
SECONDS_OF_A_HISTORY = 60


class StoredArrivals(Arrivals):
    """The same with the files in a bucket."""

    def senders(self, _home: Path) -> Senders:
        return BucketSenders()


TestArrivals = pytest.mark.timeout(900 + SECONDS_OF_A_HISTORY * EXAMPLES)(Arrivals.TestCase)
TestStoredArrivals = pytest.mark.usefixtures("s3")(
    pytest.mark.timeout(900 + SECONDS_OF_A_HISTORY * EXAMPLES)(StoredArrivals.TestCase)
)
TestArrivals.settings = hypothesis.settings(
    deadline=None,
    derandomize="ARRIVALS_EXAMPLES" not in os.environ,
    database=None,
    max_examples=EXAMPLES,
    stateful_step_count=int(os.environ.get("ARRIVALS_STEPS", "25")),
    phases=[p for p in hypothesis.Phase if p.name in ("explicit", "generate") or "ARRIVALS_SHRINK" in os.environ],
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
# A request to the store takes longer than a look at a file: a third as much of it.
TestStoredArrivals.settings = hypothesis.settings(
    TestArrivals.settings,
    max_examples=max(1, EXAMPLES // 3),
    stateful_step_count=TestArrivals.settings.stateful_step_count,
)
