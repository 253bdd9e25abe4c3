"""Random requests over several runs, beside a small model: each partition ends with the parameters of whoever asked for
it last, a follow-up keeps those it has, requests are served in their order, and nobody is credited for what was not
planned for him.

The table ``t`` has the keys ``k`` and ``j`` and reads the table ``i``. Its partitions are a dictionary here; everything
that plans, credits and records is the real thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reloads.batch import Batch
from reloads.days import Days
from reloads.outcome import Failure, Outcome
from reloads.partition_filter import KeyFilter, PartitionFilter
from reloads.planning.batching import Limits, cut_batches
from reloads.planning.parts import WrittenParameters
from reloads.planning.runnable_requests import runnable_records
from reloads.requests.record import Record
from reloads.runs.credit import complete_outcomes, credit_requests
from reloads.tables.lineage import Lineage

LINEAGE = Lineage({"i": {}, "t": {"i": 1}})
DAYS = [date(2025, 1, number) for number in (1, 2, 3)]
LATE = ("c", "z")
"""Key values that the source has only later."""
CELLS = [*product("ab", "xy"), LATE]
NOW = datetime(2025, 1, 31, tzinfo=UTC)
Parameters = dict[str, int]
Cell = tuple[str, str]
Place = tuple[date, Cell]

some_days = st.frozensets(st.sampled_from(DAYS), min_size=1).map(Days.of)
some_keys = st.fixed_dictionaries(
    {},
    optional={
        "k": st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True).map(tuple),
        "j": st.lists(st.sampled_from("xyz"), min_size=1, max_size=2, unique=True).map(tuple),
    },
)
some_parameters = st.sampled_from([{}, {"p": 1}, {"p": 2}])


def lets_in(key_filter: KeyFilter, cell: Cell) -> bool:
    k, j = cell
    return k in key_filter.get("k", (k,)) and j in key_filter.get("j", (j,))


def passes(partition_filter: PartitionFilter, cell: Cell) -> bool:
    selected = not partition_filter.key_filters or any(lets_in(each, cell) for each in partition_filter.key_filters)
    return selected and not any(lets_in(each, cell) for each in partition_filter.excluded)


@dataclass
class FinishedRun:
    """What a run wrote, and what there was before."""

    before: dict[Place, Parameters]
    of_day_before: dict[date, Parameters]
    written: dict[Place, Parameters] = field(default_factory=dict)


class WorkItems(RuleBasedStateMachine):
    """Requests come, runs fail and succeed, inputs are done."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []
        self.source: set[Cell] = {cell for cell in CELLS if cell != LATE}
        self.warehouse: dict[Place, Parameters] = {}
        self.of_day: dict[date, Parameters] = {}
        self.expected: dict[Place, Parameters] = {}
        self.expected_of_day: dict[date, Parameters] = {}
        self.planned: list[Batch] | None = None
        self.ids_when_planned: set[str] = set()

    # what happens

    def accept(self, table: str, days: Days, mode: Any, **fields: Any) -> None:
        number = len(self.records)
        accepted_at = NOW + timedelta(seconds=number)
        self.records.append(
            Record(id=f"r{number}", mode=mode, table=table, days=days, accepted_at=accepted_at, **fields)
        )

    @rule(
        days=some_days,
        keys=some_keys,
        parameters=some_parameters,
        way=st.sampled_from(["alone", "with its input", "keeping parameters", "daily", "cascade", "schema"]),
    )
    def somebody_asks(self, days: Days, keys: dict[str, tuple[str, ...]], parameters: Parameters, way: str) -> None:
        if way == "alone":
            self.accept("t", days, "landing", keys=keys, parameters=parameters)
        elif way == "with its input":
            drop = f"drop {len(self.records)}"
            self.accept("i", days, "landing", drop=drop)
            self.accept("t", days, "landing", drop=drop, keys=keys, parameters=parameters)
        elif way == "keeping parameters":
            self.accept("t", days, "landing", keys=keys, keep_parameters=True)
        else:
            self.accept("t", days, way)

    @rule()
    def the_inputs_are_done(self) -> None:
        for position, record in enumerate(self.records):
            if record.table == "i":
                self.records[position] = record.with_outcome(Outcome(published=record.days), run="i", now=NOW)

    @rule()
    def new_key_values_come(self) -> None:
        self.source.add(LATE)

    # runs

    def outstanding(self, table: str = "t") -> list[Record]:
        return [record for record in self.records if record.table == table and record.outstanding]

    @precondition(lambda self: self.planned is None)
    @rule(days_per_run=st.integers(1, 3))
    def plan(self, days_per_run: int) -> None:
        everything = [record for record in self.records if record.outstanding]
        runnable = runnable_records(self.outstanding(), everything=everything, lineage=LINEAGE)
        limits = Limits(partitions_per_run=days_per_run, parallelism=2, days_per_batch=1)
        written = {day: self.written(day) for day in DAYS}
        plan = cut_batches(runnable, limits=limits, written=written)
        self.planned = list(plan.batches)
        self.ids_when_planned = {record.id for record in self.records}
        assert bool(plan.batches) == bool(runnable), "something can be done, so something is"
        self.check_plan(self.planned)

    def written(self, day: date) -> WrittenParameters:
        of_partitions = []
        for (its_day, (k, j)), parameters in self.warehouse.items():
            if its_day == day:
                of_partitions.append(({"k": k, "j": j}, parameters))
        return WrittenParameters(self.of_day.get(day, {}), tuple(of_partitions))

    def check_plan(self, batches: list[Batch]) -> None:
        planned_places: list[Place] = []
        for batch in batches:
            cells = [cell for cell in CELLS if passes(batch.partition_filter, cell)]
            planned_places += product(batch.days, cells)
        assert len(planned_places) == len(set(planned_places)), "no partition is in two batches"
        record_by_id = {record.id: record for record in self.records}
        for batch in batches:
            assert batch.days == Days.union(batch.requests.values())
            for request, days in batch.requests.items():
                self.check_order(record_by_id[request], days)

    def check_order(self, record: Record, days: Days) -> None:
        """Nobody is served before one that asked earlier and names other parameters for the same partitions."""
        if record.keeps_parameters:
            return
        for earlier in self.outstanding():
            if earlier.id == record.id:
                return
            if earlier.keeps_parameters or earlier.parameters == record.parameters:
                continue
            shared_days = days & earlier.outstanding
            for cell in product("abc", "xyz"):
                is_shared = shared_days and lets_in(earlier.keys, cell) and lets_in(record.keys, cell)
                assert not is_shared, f"{record.id} overtakes {earlier.id}"

    @precondition(lambda self: self.planned is not None)
    @rule(data=st.data())
    def rewrite_and_settle(self, data: st.DataObject) -> None:
        """Some batches are killed, some days of others fail."""
        killed: set[int] = set()
        failed: dict[int, Days] = {}
        for batch in self.planned or []:
            if data.draw(st.integers(0, 4)) == 0:
                killed.add(batch.number)
            elif data.draw(st.integers(0, 2)) == 0:
                failed[batch.number] = Days.of(data.draw(st.frozensets(st.sampled_from(list(batch.days)))))
        self.finish_run(killed=killed, failed=failed)

    def finish_run(self, *, killed: AbstractSet[int] = frozenset(), failed: Mapping[int, Days] | None = None) -> None:
        batches, self.planned = self.planned or [], None
        run = FinishedRun(before=dict(self.warehouse), of_day_before=dict(self.of_day))
        outcomes: list[Outcome] = []
        for batch in batches:
            if batch.number in killed:
                continue
            failed_days = (failed or {}).get(batch.number, Days())
            for day in batch.days - failed_days:
                self.write(batch, day, run)
            failures = (Failure(days=failed_days, error="bad row"),) if failed_days else ()
            outcomes.append(Outcome(published=batch.days - failed_days, failed=failures, batch=batch.number))
        credit = credit_requests(batches, complete_outcomes(batches, outcomes, run="run"))
        for position, record in enumerate(self.records):
            if record.id in credit:
                settled = record.with_outcome(credit[record.id], run="run", now=NOW)
                for day in settled.fulfilled - record.fulfilled:
                    self.check_credit(record, day, run)
                    self.expect(record, day)
                self.records[position] = settled

    def work_off(self) -> None:
        """Run until nothing is left that can be done."""
        for _ in range(len(self.records) * len(DAYS) + 1):
            self.finish_run()
            self.plan(days_per_run=3)
        assert self.planned == []

    def write(self, batch: Batch, day: date, run: FinishedRun) -> None:
        for cell in self.source:
            if passes(batch.partition_filter, cell):
                self.warehouse[day, cell] = run.written[day, cell] = dict(batch.parameters)
        if not batch.partition_filter.key_filters:
            self.of_day[day] = dict(batch.parameters)

    def check_credit(self, record: Record, day: date, run: FinishedRun) -> None:
        """All that the request asks for of the day was rewritten in this run, as it asks for it."""
        assert record.id in self.ids_when_planned
        for cell in self.source:
            if lets_in(record.keys, cell):
                kept = run.before.get((day, cell), run.of_day_before.get(day, {}))
                assert run.written[day, cell] == (kept if record.keeps_parameters else record.parameters)

    # the model

    def expect(self, record: Record, day: date) -> None:
        """What the partitions hold once this request has its day, as the documents promise it."""
        cells = [cell for cell in self.source if lets_in(record.keys, cell)]
        for cell in cells:
            if not record.keeps_parameters:
                self.expected[day, cell] = record.parameters
            else:
                self.expected.setdefault((day, cell), self.expected_of_day.get(day, {}))
        if not record.keeps_parameters and not record.keys:
            self.expected_of_day[day] = record.parameters

    @invariant()
    def each_partition_has_the_parameters_of_whoever_was_served_last(self) -> None:
        for place, parameters in self.expected.items():
            assert self.warehouse[place] == parameters, place

    def teardown(self) -> None:
        """In the end everything is served, and the last request for a partition counts."""
        self.work_off()
        self.the_inputs_are_done()
        self.work_off()
        assert not self.outstanding()
        for day, cell in product(DAYS, self.source - {LATE}):
            asked: list[Record] = []
            for record in self.records:
                is_served = record.table == "t" and day in record.fulfilled and lets_in(record.keys, cell)
                if is_served and not record.keeps_parameters:
                    asked.append(record)
            if asked:
                assert self.warehouse[day, cell] == asked[-1].parameters


TestWorkItems = WorkItems.TestCase
TestWorkItems.settings = hypothesis_settings(max_examples=150, stateful_step_count=15, deadline=None)
