"""The whole, without Airflow: whatever happens in whatever order, wherever a process dies, the warehouse comes right.

A state machine delivers and corrects sources, asks, runs the steps of the consumer DAGs of five tables one by one,
late, twice or not at all, changes and breaks definitions, cancels, retries, undoes, and kills a step before any of its
changes of a folder. A model beside it (``model``) says after each step what may have changed, and once the work is
drained what each partition has to hold.

The suite tries a few histories, the same ones every time, for a minute. These variables ask for more:

    WHOLE_EXAMPLES=2000    so many other histories, by ``--hypothesis-seed`` of pytest where they are to be repeatable
    WHOLE_STEPS=30         of so many steps each
    WHOLE_LOG=FILE         adds a line to the file at the end of each history
    WHOLE_SHRINK=1         looks for the shortest history that fails, instead of ending with the first one

2,000 histories of 30 steps take about two hours of one core.
"""

# ruff: noqa: FBT001 - a rule takes what it draws, by name

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import hypothesis
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from reloads.days import Days
from reloads.errors import ReloadsError
from reloads.requests.control import find_records
from reloads.requests.record import Record
from reloads.runs import small_run
from reloads.runs.small_run import BegunRun
from tests.support.process_kill import SCRATCH, Killed, killed_after
from tests.support.s3_server import BUCKET
from tests.unit.whole.definitions import (
    DAYS,
    DEFINITIONS,
    FIRST,
    KEYS,
    LAST,
    ORDER,
    PARTITION_DAYS,
    downstream_of,
    next_variants,
)
from tests.unit.whole.model import UNKNOWN, Ask, Model, Version, ask_of
from tests.unit.whole.recompute import Raw
from tests.unit.whole.world import Run, World

days = st.sampled_from(DAYS)
tables = st.sampled_from(ORDER)
values = st.sampled_from([0, 1, 1, 2, 2, 20])
rows = st.lists(st.tuples(st.sampled_from(KEYS), values), max_size=3).map(tuple)
kills = st.none() | st.integers(0, 12) | st.integers(0, 40) | st.integers(0, 200)
numbers = st.integers(0, 100)
STEPS = ("plan", "rewrite", "rewrite", "settle")


@st.composite
def requests(draw: st.DrawFn) -> dict[str, object]:
    """Fields of a request as people write them."""
    names = draw(st.just(["base"]) | st.lists(tables, min_size=1, max_size=3, unique=True))
    first, last = sorted([draw(days), draw(days)])
    request: dict[str, object] = {
        "table": names,
        "start_date": str(first),
        "end_date": str(last),
        "only": draw(st.sampled_from(["all", "all", "all", "missing", "stale"])),
        "cascade": draw(st.sampled_from([True, True, True, False])),
    }
    definition = DEFINITIONS[names[0]]
    if len(names) > 1 or not definition.parameter:
        return request
    if definition.has_keys and draw(st.booleans()):
        request["keys"] = {"k": draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=2, unique=True))}
    way = draw(st.sampled_from(["default", "named", "named", "kept"]))
    if way == "named":
        request["parameters"] = {definition.parameter: draw(st.sampled_from(definition.values))}
    elif way == "kept":
        request["keep_parameters"] = True
    return request


class Whole(RuleBasedStateMachine):
    """Everything that can happen, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Path(mkdtemp(dir=SCRATCH)), warehouse=self.warehouse())
        self.model = Model(self.world)
        self.asked: dict[str, dict[str, object]] = {}
        """What was dropped, by the name of its file."""

    def warehouse(self) -> str:
        """Where the tables are; a folder of the home where it is empty."""
        return ""

    def teardown(self) -> None:
        try:
            # Behind a step that failed in the middle of a look the model would only say what follows from that.
            if not self.model.is_torn:
                self._end()
                _log_history(self.world)
        finally:
            self.model.close()
            shutil.rmtree(self.world.home, ignore_errors=True)

    def act(self, act: Callable[[], object], kill: int | None = None) -> bool:
        """Do a step of some process, which may be killed; whether it was."""
        try:
            with killed_after(kill, self.world.home):
                act()
        except Killed:
            return True
        return False

    def act_aside(self, act: Callable[[], object], kill: int | None = None) -> bool:
        """Do a step that changes no partition; whether it was killed."""
        before = self.world.records()
        is_killed = self.act(act, kill)
        self.model.observe({})
        self.model.note_ends(before, self.world.records())
        return is_killed

    # what people do

    @initialize(first=days, last=days)
    def load(self, first: date, last: date) -> None:
        self._ask({"table": ["base"], "start_date": str(min(first, last)), "end_date": str(max(first, last))}, None)
        self._drain()

    @rule(day=days, rows=rows)
    def deliver(self, day: date, rows: Raw) -> None:
        self.world.deliver(day, rows)

    @rule(day=days)
    def deliver_nonsense(self, day: date) -> None:
        self.world.deliver(day, (("a", "x"),))

    @rule(request=requests(), kill=kills)
    def ask(self, request: dict[str, object], kill: int | None) -> None:
        self._ask(request, kill)

    @rule(request=requests(), other=requests())
    def ask_twice(self, request: dict[str, object], other: dict[str, object]) -> None:
        """Two requests that come together."""
        self.asked[self.world.drop(request)] = request
        self._ask(other, None)

    @rule(day=days, rows=rows, cascade=st.booleans())
    def correct(self, day: date, rows: Raw, cascade: bool) -> None:
        """A correction of a day, and the request for it."""
        self.world.deliver(day, rows)
        self._ask({"table": ["base"], "start_date": str(day), "cascade": cascade}, None)

    @rule(request=requests(), kill=kills, killed_step=st.sampled_from(STEPS))
    def reload(self, request: dict[str, object], kill: int | None, killed_step: str) -> None:
        """A request, and a run of its first table."""
        self._ask(request, None)
        self._work(min(_names_in(request)), kill, killed_step)

    def _ask(self, request: dict[str, object], kill: int | None) -> None:
        self.asked[self.world.drop(request)] = request
        if self.act_aside(self.world.collect_requests, kill):
            self.act_aside(self.world.collect_requests)

    @rule(table=tables)
    def lose_state(self, table: str) -> None:
        """It follows from the log, so nobody notices."""
        self.world.lose_state(table)

    @precondition(lambda self: self.warehouse())
    @rule()
    def lose_mirror(self) -> None:
        """All that a machine has of an object store is a copy, so nobody notices."""
        self.world.lose_mirror()

    @precondition(lambda self: not self.warehouse() and not self.world.is_bookkeeping_lost)
    @rule()
    def lose_bookkeeping(self) -> None:
        """Only the partitions are left, as of a warehouse that was made without a log; then all tables are planned."""
        self.world.mend_tables()
        self.world.lose_bookkeeping()
        self.model.forget()
        for table in ORDER:
            self._plan(table, None)

    @rule(table=st.sampled_from(["keyed", "sums", "week"]), pick=numbers)
    def define(self, table: str, pick: int) -> None:
        variants = next_variants(table, self.world.variants[table])
        self.world.define(table, variants[pick % len(variants)])

    @rule(table=tables)
    def break_table(self, table: str) -> None:
        self.world.break_table(table)

    @precondition(lambda self: self.world.broken)
    @rule()
    def mend_tables(self) -> None:
        self.world.mend_tables()
        self.act_aside(self.world.collect_requests)

    @precondition(lambda self: self.world.queue.records("accepted"))
    @rule(pick=numbers, kill=kills)
    def cancel(self, pick: int, kill: int | None) -> None:
        accepted = self.world.queue.records("accepted")
        record_id = accepted[pick % len(accepted)].id
        self.act_aside(lambda: self.world.cancel(record_id), kill)

    @precondition(lambda self: self.world.repeatable())
    @rule(pick=numbers)
    def retry(self, pick: int) -> None:
        ended = self.world.repeatable()
        record_id = ended[pick % len(ended)].id
        self.act_aside(lambda: self.world.retry(record_id))
        self.act_aside(self.world.collect_requests)

    # the steps of runs

    @rule(pick=numbers, kill=kills)
    def plan(self, pick: int, kill: int | None) -> None:
        busy = self.world.busy_tables()
        candidates = [*busy, *busy, *ORDER]
        self._plan(candidates[pick % len(candidates)], kill)

    def _plan(self, table: str, kill: int | None) -> None:
        """Plan a run; the one before it is given up."""
        before = self.world.records()
        is_killed = self.act(lambda: self.world.plan(table), kill)
        self.model.observe({})
        after = self.world.records()
        self.model.note_ends(before, after)
        if is_killed:
            return
        self.model.check_skipped(before, after, table)
        if run := self.world.runs.get(table):
            assert not self.world.is_behind(table), f"the run of {table} did not complete what a crash left"
            self.model.begin(run.name, table)

    @precondition(lambda self: self.world.waiting_runs())
    @rule(pick=numbers, kill=kills, is_tried_again=st.booleans())
    def rewrite(self, pick: int, kill: int | None, is_tried_again: bool) -> None:
        runs = self.world.waiting_runs()
        self._rewrite_next(runs[pick % len(runs)], kill, is_tried_again=is_tried_again)

    def _rewrite_next(self, run: Run, kill: int | None, *, is_tried_again: bool) -> None:
        """Do the next task; one that was killed runs again, or is lost."""
        run.begun += 1
        if self._rewrite(run, run.begun - 1, kill) and is_tried_again:
            run.begun -= 1

    @precondition(lambda self: any(run.begun for run in self.world.runs.values()))
    @rule(pick=numbers)
    def rewrite_twice(self, pick: int) -> None:
        """A task that has ended runs once more; nobody waits for what it says."""
        ended = [(run, number) for run in self.world.runs.values() for number in range(run.begun)]
        self._rewrite(*ended[pick % len(ended)], None, is_heard=False)

    @precondition(lambda self: any(run.batches for run in self.world.ended_runs))
    @rule(pick=numbers, kill=kills)
    def rewrite_late(self, pick: int, kill: int | None) -> None:
        """A task goes on whose run was given up or settled."""
        late = [(run, number) for run in self.world.ended_runs for number in range(len(run.batches))]
        self._rewrite(*late[pick % len(late)], kill, is_heard=False)

    def _rewrite(self, run: Run, number: int, kill: int | None, *, is_heard: bool = True) -> bool:
        """Do a batch; whether it was killed."""
        asks = self._asks_of(run.batches[number])
        before = self.world.records()

        def act() -> None:
            outcome = self.world.rewrite(run, number)
            if is_heard:
                run.outcomes.append(outcome)

        is_killed = self.act(act, kill)
        is_open = self.world.runs.get(run.table) is run
        progress = self.model.progress_of(run.name) if is_open else None
        self.model.observe({run.table: asks}, progress=progress, is_killed=is_killed)
        self.model.note_ends(before, self.world.records())
        return is_killed

    def _asks_of(self, batch: Mapping[str, Any]) -> list[Ask]:
        """Whom a task serves: also those whose request has ended, as of a cleared task, but nobody who gave up."""
        records = self.world.records()
        served: list[Ask] = []
        for record_id, texts in batch["requests"].items():
            record = records[record_id]
            served.append(ask_of(record, Days.parse(texts) - record.cancelled))
        return served

    @precondition(lambda self: any(run.begun for run in self.world.runs.values()))
    @rule(pick=numbers, kill=kills, is_repeated=st.booleans())
    def settle(self, pick: int, kill: int | None, is_repeated: bool) -> None:
        runs = [run for run in self.world.runs.values() if run.begun]
        self._settle(runs[pick % len(runs)], kill, is_repeated=is_repeated)

    def _settle(self, run: Run, kill: int | None, *, is_repeated: bool) -> None:
        is_killed = self._settle_once(run, kill)
        if is_repeated:
            is_killed = self._settle_once(run, None)
        if not is_killed:
            self._forget(run)

    def _settle_once(self, run: Run, kill: int | None) -> bool:
        before = self.world.records()
        is_killed = self.act(lambda: self.world.settle(run), kill)
        self.model.observe({})
        after = self.world.records()
        progress = self.model.progress_of(run.name)
        self.model.credit(before, after, progress, table=run.table, has_lost_tasks=run.has_lost_tasks)
        self.model.note_ends(before, after)
        return is_killed

    def _forget(self, run: Run) -> None:
        self.model.end(run.name)
        self.world.ended_runs.append(self.world.runs.pop(run.table))

    @precondition(lambda self: self.world.busy_tables())
    @rule(pick=numbers, kill=kills, killed_step=st.sampled_from(STEPS))
    def work(self, pick: int, kill: int | None, killed_step: str) -> None:
        busy = self.world.busy_tables()
        self._work(busy[pick % len(busy)], kill, killed_step)

    def _work(self, table: str, kill: int | None = None, killed_step: str = "") -> None:
        """Do the rest of the table's run, or a whole one, of which one step is killed and tried again."""
        kill_of = {step: kill if step == killed_step else None for step in STEPS}
        if table not in self.world.runs:
            self._plan(table, kill_of["plan"])
        if table not in self.world.runs:
            self._plan(table, None)
        run = self.world.runs.get(table)
        if run is None:
            return
        while run.begun < len(run.batches):
            self._rewrite_next(run, kill_of["rewrite"], is_tried_again=True)
            kill_of["rewrite"] = None
        self._settle(run, kill_of["settle"], is_repeated=kill_of["settle"] is not None)

    @precondition(lambda self: self.world.busy_tables())
    @rule(pick=numbers, kill=kills, is_tried_again=st.booleans())
    def run_at_once(self, pick: int, kill: int | None, is_tried_again: bool) -> None:
        """The first task of a run, which does all of a small one; one that was killed runs again, or is lost."""
        busy = self.world.busy_tables()
        self._run_at_once(busy[pick % len(busy)], kill, is_tried_again=is_tried_again)

    def _run_at_once(self, table: str, kill: int | None, *, is_tried_again: bool) -> None:
        run = self.world.new_run(table)
        is_killed, begun = self._begin_once(run, kill)
        if is_killed and is_tried_again:
            is_killed, begun = self._begin_once(run, None)
        if begun and begun.settled:
            run.batches = [batch.to_json() for batch in begun.batches]
            self._forget(self.world.runs.setdefault(table, run))
            return
        run.batches = begun.tasks() if begun else self.world.begun_batches(run)
        if not run.batches:
            return
        self.world.runs[table] = run
        if is_killed:
            run.begun = len(run.batches)
        elif run.batches[0].get("tried"):
            run.begun, run.outcomes = 1, [run.batches[0]["tried"]]

    def _begin_once(self, run: Run, kill: int | None) -> tuple[bool, BegunRun | None]:
        """Do the first task, and look at the warehouse after each of its steps; whether it was killed."""
        # What is to be looked at, by the step that the task died in: not before its locks are gone.
        observe: list[Callable[[bool], None]] = []
        begun: list[BegunRun | None] = []

        def observed(step: Callable[..., Any], look: Callable[..., Callable[[bool], None]]) -> Callable[..., Any]:
            def take_step(*arguments: Any, **options: Any) -> Any:
                observe[:] = [look(*arguments)]
                result = step(*arguments, **options)
                observe.pop()(False)
                return result

            return take_step

        with ExitStack() as patches:
            for name in ("plan_batches", "run_batch", "settle_batches"):
                look = partial(getattr(self, f"_look_at_{name}"), run)
                patches.enter_context(patch.object(small_run, name, observed(getattr(small_run, name), look)))
            is_killed = self.act(lambda: begun.append(self.world.begin(run)), kill)
        for observe_death in observe:
            observe_death(is_killed)
        if is_killed and not observe:
            self.model.observe({})
        return is_killed, begun[0] if begun else None

    def _look_at_plan_batches(self, run: Run, *_: Any) -> Callable[[bool], None]:
        before = self.world.records()

        def look(is_killed: bool) -> None:
            self.model.observe({})
            after = self.world.records()
            self.model.note_ends(before, after)
            if not is_killed and run.table not in self.world.broken:
                self.model.check_skipped(before, after, run.table)
                self.model.begin(run.name, run.table)

        return look

    def _look_at_run_batch(self, run: Run, _settings: Any, _table: str, batch: Any) -> Callable[[bool], None]:
        asks, before = self._asks_of(batch), self.world.records()

        def look(is_killed: bool) -> None:
            progress = self.model.progress_of(run.name)
            self.model.observe({run.table: asks}, progress=progress, is_killed=is_killed)
            self.model.note_ends(before, self.world.records())

        return look

    def _look_at_settle_batches(self, run: Run, *_: Any) -> Callable[[bool], None]:
        before = self.world.records()

        def look(_is_killed: bool) -> None:
            self.model.observe({})
            after = self.world.records()
            progress = self.model.progress_of(run.name)
            self.model.credit(before, after, progress, table=run.table, has_lost_tasks=False)
            self.model.note_ends(before, after)

        return look

    @rule(request=requests(), kill=kills)
    def run_locally(self, request: dict[str, object], kill: int | None) -> None:
        """``reloads run`` beside all the rest."""
        before = self.world.records()
        is_killed = self.act(lambda: self.world.run_locally(request), kill)
        after = self.world.records()
        new = [record for each, record in after.items() if each not in before]
        asks = _asks_of_command(request, new)
        progress = self.model.observe(asks, is_killed=is_killed)
        progress.is_disturbed = True
        for table in ORDER:
            finished = {record.id: record for record in new if record.finished_at}
            self.model.credit(before, finished, progress, table=table, has_lost_tasks=is_killed, is_local=True)
        self.model.note_ends(before, after)

    # undo

    @rule(pick=numbers, force=st.booleans(), kill=kills, is_repeated=st.booleans(), is_by_file=st.booleans())
    def undo(self, pick: int, force: bool, kill: int | None, is_repeated: bool, is_by_file: bool) -> None:
        ended = [record for record in self.world.records().values() if not record.outstanding]
        if not ended:
            return
        ended.sort(key=lambda record: (record.mode not in ("undo", "landing"), record.accepted_at, record.id))
        self.undo_record(
            ended[pick % len(ended)], force=force, kill=kill, is_repeated=is_repeated, is_by_file=is_by_file
        )

    @rule(force=st.booleans(), kill=kills, is_repeated=st.booleans())
    def undo_the_last(self, force: bool, kill: int | None, is_repeated: bool) -> None:
        """Often an undo of an undo."""
        ended = [record for record in self.world.records().values() if not record.outstanding and record.published]
        if ended:
            last = max(ended, key=lambda record: (record.mode != "cascade", record.accepted_at, record.id))
            self.undo_record(last, force=force, kill=kill, is_repeated=is_repeated)

    def undo_record(
        self, record: Record, *, force: bool, kill: int | None, is_repeated: bool = False, is_by_file: bool = False
    ) -> None:
        text = record.file if is_by_file and record.file else record.id
        targets = {each.table: each.id for each in find_records(self.world.queue, text)}
        brought, is_killed = self._undo_once(text, targets, force, kill)
        if is_killed and is_repeated:
            again, _ = self._undo_once(text, targets, force, None, killed=brought)
            brought += again

    def _undo_once(
        self, text: str, targets: Mapping[str, str], force: bool, kill: int | None, killed: Sequence[Version] = ()
    ) -> tuple[list[Version], bool]:
        """Undo; returns what it brought and whether it was killed."""
        undone: list[Record] = []
        errors: list[ReloadsError] = []
        before = self.world.records()

        def act() -> None:
            try:
                undone.extend(self.world.undo(text, force=force))
            except ReloadsError as error:
                errors.append(error)

        is_killed = self.act(act, kill)
        if killed and errors and not self.world.broken:
            recorded = [record for record in before.values() if record.mode == "undo"]
            assert recorded, f"the undo was killed, and cannot be completed: {errors}"
        new = [record for each, record in self.world.records().items() if each not in before and record.mode == "undo"]
        brought = self.model.observe_undo(targets, undone, new, force=force, is_killed=is_killed)
        for version in killed:
            version.by = frozenset(record.id for record in new) or version.by
        return brought, is_killed

    # the end

    @precondition(lambda self: self.world.busy_tables())
    @rule()
    def drain(self) -> None:
        self._drain()

    def _drain(self) -> None:
        """Mend all, and work until nothing is outstanding; then all tables have followed."""
        self.world.mend_tables()
        tables: Sequence[str] = ORDER
        for _ in range(40):
            self.act_aside(self.world.collect_requests)
            for table in tables:
                self._work_or_plan(table)
            accepted = {record.table for record in self.world.queue.records("accepted")}
            if not accepted:
                break
            # Not the others: what follows from a table is asked for by its own run.
            tables = [table for table in ORDER if table in accepted]
        else:
            left = [record.describe_progress() for record in self.world.queue.records("accepted")]
            raise AssertionError(f"never ends: {left}")
        assert not self.model.unsettled, "each table had a run, which completes what a crash left"
        self.model.assert_followed()
        self._assert_nothing_is_lost()

    def _work_or_plan(self, table: str) -> None:
        """A run of a table for which nobody asked has nothing to settle: its plan asked for what follows."""
        if table in self.world.busy_tables():
            self._work(table)
        else:
            self._plan(table, None)
            self._forget(self.world.runs[table])

    def _assert_nothing_is_lost(self) -> None:
        """Each dropped file has a record for each of its tables, which has ended and asks for what was dropped."""
        by_file: dict[str, list[Record]] = {}
        for record in self.world.records().values():
            by_file.setdefault(record.file or "", []).append(record)
        for name, request in self.asked.items():
            assert {record.table for record in by_file.get(name, [])} == _names_in(request), name
            for record in by_file[name]:
                assert record.finished_at
                assert not record.outstanding
                assert str(record.days.ranges[0]) == str(record.days)
                for field in ("keys", "parameters", "only", "cascade", "keep_parameters"):
                    if field in request:
                        assert _plain(getattr(record, field)) == request[field]

    def _ask_for_all(self, **fields: object) -> list[Record]:
        """Ask for all days, and do it; returns the records."""
        before = self.world.records()
        self._ask({"start_date": str(FIRST), "end_date": str(LAST), **fields}, None)
        self._drain()
        return [record for each, record in self.world.records().items() if each not in before]

    def _end(self) -> None:
        self._drain()
        self._ask_for_all(table=list(ORDER), only="stale")
        self.model.assert_current()
        refused = {table: self.model.refused_days(table) for table in ORDER}
        for record in self._ask_for_all(table=list(ORDER), only="stale"):
            rewritten = set(record.fulfilled | record.failed_days)
            assert rewritten <= refused[record.table], f"nothing was stale, and yet: {record}"
        for day in DAYS:
            if ("a", "x") in self.world.sources[day]:
                self.world.deliver(day, (("b", 7),))
        self._ask_for_all(table=["base"])
        assert {day for day, _ in self.model.partitions("base")} == set(DAYS)
        self._assert_nothing_is_left()

    def _assert_nothing_is_left(self) -> None:
        """What killed processes left is gone a day later, and log, state, versions and view of each table agree."""
        harmless = ("belongs to no commit", "left by a crash")
        assert not [fault for fault in self.world.faults() if not any(text in fault for text in harmless)]
        self.world.clean_up()
        assert not self.world.faults()
        assert not list((self.world.settings.warehouse / ".staging").glob("*")), "staging folders are left"
        assert not list((self.world.settings.landing).glob("*.json"))


def _log_history(world: World) -> None:
    """Note in the file ``WHOLE_LOG``, if it is asked for, what a history came to that went well."""
    if path := os.environ.get("WHOLE_LOG"):
        modes = Counter(record.mode for record in world.records().values())
        with Path(path).open("a") as log:
            log.write(f"a history went well, with requests by mode: {dict(sorted(modes.items()))}\n")


def _names_in(request: Mapping[str, object]) -> set[str]:
    names = request["table"]
    assert isinstance(names, list)
    return set(names)


def _plain(value: object) -> object:
    """A record's field as JSON has it."""
    if isinstance(value, dict):
        return {key: list(each) if isinstance(each, tuple) else each for key, each in value.items()}
    return value


def _asks_of_command(request: Mapping[str, object], new: Sequence[Record]) -> dict[str, list[Ask]]:
    """Who wants something of ``reloads run``: the request itself, and the tables that follow."""
    asks: dict[str, list[Ask]] = {}
    for record in new:
        asks.setdefault(record.table, []).append(ask_of(record))
    waiting = [(name, _ask_of_request(request, name)) for name in sorted(_names_in(request))]
    for table, ask in waiting:
        if not asks.get(table):
            asks[table] = [ask]
        for downstream in downstream_of(table):
            waiting.append((downstream, Ask(UNKNOWN, frozenset(PARTITION_DAYS), DEFINITIONS[downstream].keys, None)))
    return asks


def _ask_of_request(request: Mapping[str, object], table: str) -> Ask:
    record = Record.model_validate(
        {
            "id": UNKNOWN,
            "mode": "command",
            "table": table,
            "days": [f"{request['start_date']}..{request['end_date']}"],
            "accepted_at": "2024-01-01T00:00:00Z",
            **{name: request[name] for name in ("keys", "parameters", "keep_parameters", "cascade") if name in request},
        }
    )
    return ask_of(record)


EXAMPLES = int(os.environ.get("WHOLE_EXAMPLES", "9"))
SECONDS_OF_A_HISTORY = 60
"""More than it takes on a busy machine."""


class WholeInStore(Whole):
    """The same with the tables in an object store."""

    def warehouse(self) -> str:
        return f"s3://{BUCKET}/{uuid4().hex}"


TestWhole = pytest.mark.timeout(900 + SECONDS_OF_A_HISTORY * EXAMPLES)(Whole.TestCase)
TestWholeInStore = pytest.mark.usefixtures("s3")(
    pytest.mark.timeout(900 + SECONDS_OF_A_HISTORY * EXAMPLES)(WholeInStore.TestCase)
)
TestWhole.settings = hypothesis.settings(
    deadline=None,
    # The same ones every time; WHOLE_EXAMPLES asks for many others.
    derandomize="WHOLE_EXAMPLES" not in os.environ,
    database=None,
    max_examples=EXAMPLES,
    stateful_step_count=int(os.environ.get("WHOLE_STEPS", "20")),
    phases=[p for p in hypothesis.Phase if p.name in ("explicit", "generate") or "WHOLE_SHRINK" in os.environ],
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
# A request to the store takes longer than a file: half as much of it.
TestWholeInStore.settings = hypothesis.settings(
    TestWhole.settings, max_examples=max(1, EXAMPLES // 3), stateful_step_count=TestWhole.settings.stateful_step_count
)
