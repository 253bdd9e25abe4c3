"""What the promise says of each partition, kept beside the product and sharing no code with it.

The model looks at the published files after each step. Each file that changed must hold what the query of its table
gives, for somebody who asked and with the parameters asked for, over the inputs as they stand; no other file may have
changed. So the model knows of each partition from which recipe it was made, and at the end what it has to hold. Where
the promise leaves a partition as it is (it failed, it was cancelled, undone, or nobody wanted a cascade), that
partition alone is excused, until it is rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256

from reloads.requests.record import Record
from tests.unit.whole.definitions import DEFINITIONS, ORDER, PARTITION_DAYS, downstream_of
from tests.unit.whole.recompute import (
    Content,
    Partitions,
    Recipe,
    Recomputation,
    Refusal,
    base_content,
    empty_content,
    is_refused_by_check,
)
from tests.unit.whole.world import Cell, World, read_content

Result = Content | Refusal | None
"""A partition as its query gives it: its content, why there is none, or None for a value of the key without rows."""

UNKNOWN = "?"
"""Stands for the request of a process that was killed before there was a record of it."""


@dataclass(frozen=True)
class Ask:
    """Somebody who wants days of a table rewritten now."""

    request: str
    days: frozenset[date]
    keys: Sequence[str]
    value: int | None
    """The parameter; None where each partition keeps its own."""
    cascades: bool = True


@dataclass(frozen=True)
class Option:
    """What a partition may hold after a step, and who brought it."""

    content: Content | None
    recipe: Recipe
    request: str
    cascades: bool
    undoes: str = ""
    """Of an undo: the request that is taken back."""


@dataclass
class Version:
    """What a partition held at some time."""

    content: Content | None = None
    digest: str = ""
    recipes: set[Recipe] = field(default_factory=set)
    """From one of them it was made."""
    by: frozenset[str] = frozenset()
    """One or several of these requests brought it."""
    step: int = 0
    """The step after which it was seen."""
    is_behind_hidden: bool = False
    """Whether a killed process may have committed something before it that was never seen."""


@dataclass
class Partition:
    """What is known of one partition."""

    versions: list[Version] = field(default_factory=lambda: [Version()])
    stamp: tuple[int, int] | None = None
    changed_at: int = 0
    excused_at: int | None = None
    """Since which step it may differ from what its query gives; None if it may not."""
    late: list[Option] = field(default_factory=list)
    """What a killed process may have committed, so that it may appear later."""
    hidden: list[Option] = field(default_factory=list)
    """What it may have committed that was replaced before anybody saw it: an undo may bring it back."""
    standing: tuple[datetime, int] | None = None
    """When the request was accepted whose parameter stands, and that parameter."""

    @property
    def now(self) -> Version:
        return self.versions[-1]


@dataclass
class Progress:
    """What was seen of one run."""

    table: str = ""
    before: dict[Cell, Content | None] = field(default_factory=dict)
    confirmed: dict[Cell, list[tuple[int, Recipe]]] = field(default_factory=dict)
    """The steps after which a partition held what its query gives, and the recipe."""
    refused_days: set[date] = field(default_factory=set)
    is_disturbed: bool = False
    """Whether somebody else changed the table meanwhile, or it is not known who did."""
    changed: set[Cell] = field(default_factory=set)


class Model:
    """The expectation of all partitions."""

    def __init__(self, world: World) -> None:
        self._world, self._recomputation = world, Recomputation()
        self.step = 0
        self.cells: dict[Cell, Partition] = {cell: Partition() for table in ORDER for cell in cells_of(table)}
        self.is_torn = False
        """Whether something was seen that cannot be, so that not all that changed with it is known."""
        self.unsettled: set[str] = set()
        """Tables of which a process died before all that it committed was to be seen."""
        self._must_exist: set[tuple[str, date]] = set()
        self._whole_by: dict[tuple[str, date], dict[str, int]] = {}
        """The requests that brought a day with all of its keys, each with the last step that did."""
        self._day_values: dict[tuple[str, date], set[int]] = {}
        """The parameters with which a day as a whole may have been written last."""
        self._changes = dict.fromkeys(ORDER, 0)
        self._results: dict[tuple[object, ...], tuple[dict[tuple[date, str], Content], list[str]]] = {}
        self._progress: dict[str, Progress] = {}
        """By the name of the run."""

    def close(self) -> None:
        self._recomputation.close()

    def forget(self) -> None:
        """All but the partitions is lost: nobody knows what they were made from, and what changed is not followed."""
        self.step += 1
        for cell, partition in self.cells.items():
            now = partition.now
            # What the source had does not stand in any bookkeeping.
            recipes = now.recipes | (set(self._any_recipes(cell)) if DEFINITIONS[cell[0]].inputs else set())
            partition.versions = [Version(now.content, now.digest, recipes)]
            partition.late, partition.hidden, partition.standing = [], [], None
            partition.excused_at = self.step
            self._day_values[cell[0], cell[1]] = set(DEFINITIONS[cell[0]].values)
        self.unsettled.clear()
        self._must_exist.clear()
        self._whole_by.clear()
        for progress in self._progress.values():
            progress.is_disturbed = True

    # what a query gives

    def result(self, cell: Cell, recipe: Recipe) -> Result:
        """What the query of the table gives for this partition over the inputs as they stand."""
        table, day, key = cell
        definition = DEFINITIONS[table]
        if not definition.inputs:
            return base_content(recipe.raw or ())
        found, columns = self._results_of(table, recipe)
        if (day, key) in found:
            return found[day, key]
        if definition.refuses_empty_days:
            return Refusal("there are no rows")
        return None if definition.has_keys else empty_content(columns)

    def _results_of(self, table: str, recipe: Recipe) -> tuple[dict[tuple[date, str], Content], list[str]]:
        inputs = DEFINITIONS[table].inputs
        cache_key = (table, recipe.variant, recipe.value, *(self._changes[name] for name in inputs))
        if cache_key not in self._results:
            results = self._recomputation.results(table, recipe, {name: self.partitions(name) for name in inputs})
            self._results[cache_key] = results, self._recomputation.columns
        return self._results[cache_key]

    def partitions(self, table: str) -> Partitions:
        """The partitions of a table that are there."""
        found: dict[tuple[date, str], Content] = {}
        for cell in cells_of(table):
            content = self.cells[cell].now.content
            if content is not None:
                found[cell[1], cell[2]] = content
        return found

    # what a step may bring

    def _recipe(self, table: str, day: date, value: int) -> Recipe:
        raw = None if DEFINITIONS[table].inputs else self._world.sources.get(day, ())
        return Recipe(self._world.variants[table], value, raw)

    def _values(self, cell: Cell, ask: Ask) -> set[int]:
        """The parameters with which a partition may be written for somebody who asks."""
        table, day, _ = cell
        if ask.value is not None:
            return {ask.value}
        default = DEFINITIONS[table].values[0]
        of_day = self._day_values.get((table, day), {default})
        now = self.cells[cell].now
        own = {recipe.value for recipe in now.recipes}
        return (own | of_day if now.content is None else own) or {default}

    def _options(self, table: str, asks: Iterable[Ask], progress: Progress) -> dict[Cell, list[Option]]:
        """What each partition may hold that somebody asks for; days that are refused are noted."""
        options: dict[Cell, list[Option]] = {}
        for ask in asks:
            for day in sorted(ask.days):
                for cell in ((table, day, key) for key in ask.keys):
                    found = [] if day not in PARTITION_DAYS else self._options_of(cell, ask, progress)
                    options.setdefault(cell, []).extend(found)
        return options

    def _options_of(self, cell: Cell, ask: Ask, progress: Progress) -> list[Option]:
        options: list[Option] = []
        for value in sorted(self._values(cell, ask)):
            recipe = self._recipe(cell[0], cell[1], value)
            result = self.result(cell, recipe)
            if isinstance(result, Refusal) or self._is_refused(cell, ask, value):
                progress.refused_days.add(cell[1])
            # Where it is not known with which parameters the other keys are written, it may come out as well.
            if not isinstance(result, Refusal) and not self._is_refused(cell, ask, value, certainly=True):
                options.append(Option(result, recipe, ask.request, ask.cascades))
        return options

    def _is_refused(self, cell: Cell, ask: Ask, value: int, *, certainly: bool = False) -> bool:
        """Whether a check may refuse, or certainly does, what ``ask`` writes of the day with this parameter."""
        table, day, _ = cell
        if not DEFINITIONS[table].checks:
            return False
        for other in ((table, day, key) for key in ask.keys):
            values = self._values(other, ask)
            if value in values and (not certainly or len(values) == 1):
                result = self.result(other, self._recipe(table, day, value))
                if not isinstance(result, Refusal) and is_refused_by_check(table, result):
                    return True
        return False

    # what a step brought

    def _look(self) -> dict[Cell, tuple[Content | None, str]]:
        """The partitions that are other files than before, with their content and a digest of their bytes."""
        files = self._world.files()
        changes: dict[Cell, tuple[Content | None, str]] = {}
        for cell, partition in self.cells.items():
            path = files.get(cell)
            stat = path.stat() if path else None
            stamp = (stat.st_mtime_ns, stat.st_size) if stat else None
            if stamp == partition.stamp:
                continue
            partition.stamp = stamp
            digest = sha256(path.read_bytes()).hexdigest() if path else ""
            changes[cell] = (read_content(path) if path else None), digest
        return changes

    def _is_blurred(self, table: str) -> bool:
        """Whether an input may hold more than can be seen, so that what was read is not known."""
        return any(name in self.unsettled for name in DEFINITIONS[table].inputs)

    def observe(
        self, asks: Mapping[str, Sequence[Ask]], *, progress: Progress | None = None, is_killed: bool = False
    ) -> Progress:
        """Look at what a step did that served these requests, by table; all changes must follow from them."""
        self.step, self.is_torn = self.step + 1, True
        progress = progress or Progress()
        changes = self._look()
        for table in ORDER:
            broken_asks: Sequence[Ask] = () if table in self._world.broken else asks.get(table, ())
            options = self._options(table, broken_asks, progress)
            for cell in cells_of(table):
                if cell in changes:
                    self._explain(cell, *changes[cell], options.get(cell, []), progress)
            self._confirm(table, options, progress)
            if is_killed and table in asks:
                self._expect_late(table, options, progress)
        self._settle_down()
        self.is_torn = False
        return progress

    def _explain(
        self, cell: Cell, content: Content | None, digest: str, options: Sequence[Option], progress: Progress
    ) -> None:
        partition = self.cells[cell]
        former = partition.now.content
        # Behind what a killed process committed, the same rows may come again.
        assert content != former or partition.late, f"{cell} was replaced by the same rows"
        matching = [option for option in (*options, *partition.late) if option.content == content]
        if not matching and self._is_blurred(cell[0]):
            matching = list(options)
        assert matching, f"{cell} changed from {former} to {content}; possible: {list(options)}"
        version = Version(content, digest, {each.recipe for each in matching}, frozenset(o.request for o in matching))
        self._push(cell, version)
        progress.changed.add(cell)
        for undone in {option.undoes for option in matching} - {""}:
            self._note_put_back(cell, undone)
        for other in self._progress.values():
            if other is not progress and other.table == cell[0] and not set(matching) & set(partition.late):
                other.is_disturbed = True
        self._propagate(cell, cascades=all(option.cascades for option in matching))

    def _push(self, cell: Cell, version: Version, *, undoes: str | None = None) -> None:
        partition = self.cells[cell]
        # An undo that is repeated completes the one that was killed; anybody else comes on top of what that committed.
        others = [option for option in partition.late if option.undoes != undoes and option.content != version.content]
        version.is_behind_hidden = bool(others)
        partition.hidden += others
        version.step = self.step
        partition.versions.append(version)
        partition.changed_at = self.step
        self._changes[cell[0]] += 1

    def _propagate(self, cell: Cell, *, cascades: bool) -> None:
        """What depends on a partition that changed has to follow, or need not."""
        table, day, _ = cell
        for downstream, window in downstream_of(table).items():
            if cascades:
                self._must_exist.add((downstream, day))
            for dependent in cells_of(downstream, [day + timedelta(days=number) for number in range(window)]):
                self.cells[dependent].excused_at = None if cascades else self.step

    def _confirm(self, table: str, options: Mapping[Cell, Sequence[Option]], progress: Progress) -> None:
        for cell, possible in options.items():
            now = self.cells[cell].now
            for option in possible:
                if option.content == now.content or self._is_blurred(table):
                    # Nobody may hear of it, if the task is late or dies.
                    now.recipes.add(option.recipe)
                    progress.confirmed.setdefault(cell, []).append((self.step, option.recipe))

    def _expect_late(self, table: str, options: Mapping[Cell, Sequence[Option]], progress: Progress) -> None:
        self.unsettled.add(table)
        for other in self._progress.values():
            other.is_disturbed |= other is not progress and other.table == table
        for cell, possible in options.items():
            self.cells[cell].late += possible

    def _settle_down(self) -> None:
        """Of a table of which nothing is left to bring, all that killed processes committed is seen now.

        The log is asked, as not every act that concerns a table comes to it: a command that nothing follows from, an
        undo that is refused and a batch that was cancelled leave everything as the killed process left it.
        """
        for table in sorted(self.unsettled):
            if not self._world.is_behind(table):
                self.unsettled.discard(table)
                for cell in cells_of(table):
                    self.cells[cell].late.clear()

    # runs and their records

    def begin(self, run: str, table: str) -> None:
        before = {cell: self.cells[cell].now.content for cell in cells_of(table)}
        self._progress[run] = Progress(table, before, is_disturbed=table in self.unsettled)

    def progress_of(self, run: str) -> Progress:
        return self._progress[run]

    def end(self, run: str) -> None:
        self._progress.pop(run, None)

    def credit(
        self,
        before: Mapping[str, Record],
        after: Mapping[str, Record],
        progress: Progress,
        *,
        table: str,
        has_lost_tasks: bool,
        is_local: bool = False,
    ) -> None:
        """Each day that a record says was published or unchanged, or failed, must have been so."""
        new_ids = sorted(after, key=lambda each: after[each].accepted_at)
        for record in (after[each] for each in new_ids if after[each].table == table):
            old = before.get(record.id)
            fulfilled = set(record.fulfilled) - (set(old.fulfilled) if old else set())
            for day in sorted(fulfilled):
                self._credit_day(record, day, progress, is_local=is_local)
            failed = set(record.failed_days) - (set(old.failed_days) if old else set())
            unjustified = failed - progress.refused_days
            is_justified = has_lost_tasks or not unjustified or bool(self._world.broken)
            assert is_justified, f"{record.id} failed on {unjustified}: {record.failed}"
            if not record.keys and not progress.is_disturbed and table not in self.unsettled:
                self._check_counts(record, old, fulfilled, progress)

    def _credit_day(self, record: Record, day: date, progress: Progress, *, is_local: bool) -> None:
        ask = ask_of(record)
        table = record.table
        for cell in ((table, day, key) for key in ask.keys):
            partition = self.cells[cell]
            confirmed = [
                each for each in progress.confirmed.get(cell, []) if ask.value is None or each[1].value == ask.value
            ]
            assert confirmed, f"{record.id} has {cell} done, but its query did not give what is published"
            steps = [step for step, _ in confirmed]
            if partition.changed_at <= max(steps):
                partition.now.recipes = {recipe for _, recipe in confirmed}
            if partition.excused_at is not None and partition.excused_at < min(steps):
                partition.excused_at = None
            if ask.value is not None:
                self._stand(cell, record, ask.value, is_local=is_local)
        if not record.keys:
            self._whole_by.setdefault((table, day), {})[record.id] = max(steps)
            if ask.value is not None:
                self._day_values[table, day] = {ask.value}

    def _stand(self, cell: Cell, record: Record, value: int, *, is_local: bool) -> None:
        """Of two requests with other parameters for a partition the later one counts."""
        partition = self.cells[cell]
        if partition.standing:
            accepted_at, standing_value = partition.standing
            is_later = record.accepted_at >= accepted_at or value == standing_value
            assert is_later, f"{record.id} overrode a request for {cell} that was accepted later"
        partition.standing = None if is_local else (record.accepted_at, value)

    def _check_counts(self, record: Record, old: Record | None, fulfilled: set[date], progress: Progress) -> None:
        """Published days changed, unchanged ones did not, and the rows are counted."""
        rows = rows_before = 0
        for day in fulfilled:
            cells = list(cells_of(record.table, [day]))
            is_changed = any(progress.before[cell] != self.cells[cell].now.content for cell in cells)
            assert (day in record.published) == is_changed, f"{record.id} says of {day}: {record.describe_progress()}"
            rows += sum(count_rows(self.cells[cell].now.content) for cell in cells)
            rows_before += sum(count_rows(progress.before[cell]) for cell in cells)
        counted = record.rows - (old.rows if old else 0), record.rows_before - (old.rows_before if old else 0)
        assert counted == (rows, rows_before), f"{record.id} counts {counted} on {fulfilled}"

    def note_ends(self, before: Mapping[str, Record], after: Mapping[str, Record]) -> None:
        """What a cascade did not come to, because it failed or was cancelled, is excused."""
        for record in after.values():
            old = before.get(record.id)
            ended = set(record.failed_days) | set(record.cancelled)
            ended -= (set(old.failed_days) | set(old.cancelled)) if old else set()
            if record.mode == "cascade":
                for cell in cells_of(record.table, sorted(ended)):
                    self.cells[cell].excused_at = self.step
                    if self.cells[cell].now.content is None:
                        # It was never loaded, and is not stale.
                        self._must_exist.discard(cell[:2])

    def check_skipped(self, before: Mapping[str, Record], after: Mapping[str, Record], table: str) -> None:
        """A day that a record says is up to date holds what its query gives."""
        if self._is_blurred(table) or table in self._world.broken:
            return
        for record in after.values():
            old = before.get(record.id)
            fresh = {day for each in record.skipped if "up to date" in each.why for day in each.days}
            fresh -= set(old.skipped_days) if old else set()
            if record.table == table:
                for cell in ((table, day, key) for day in sorted(fresh) for key in ask_of(record).keys):
                    assert self._is_fresh(cell), f"{record.id} says that {cell} is up to date: {self.cells[cell].now}"

    def _is_fresh(self, cell: Cell) -> bool:
        now = self.cells[cell].now
        if now.content is None:
            return DEFINITIONS[cell[0]].has_keys and (
                cell[:2] not in self._whole_by or self._is_made(cell, now.recipes)
            )
        return self._is_made(cell, now.recipes)

    def _is_made(self, cell: Cell, recipes: Iterable[Recipe]) -> bool:
        variant = self._world.variants[cell[0]]
        return any(
            recipe.variant == variant and self.result(cell, recipe) == self.cells[cell].now.content
            for recipe in recipes
        )

    # undo

    def observe_undo(
        self,
        targets: Mapping[str, str],
        undone: Sequence[Record],
        new: Sequence[Record],
        *,
        force: bool,
        is_killed: bool,
    ) -> list[Version]:
        """Look at an undo of these requests, by table; returns the versions that it brought, and nobody else.

        ``undone`` are the records that it returned, ``new`` those that there are of it.
        """
        self.step, self.is_torn = self.step + 1, True
        unsettled = set(self.unsettled)
        changes = self._look()
        exact = {} if force else self._expected_by_undo(targets, undone, unsettled)
        for cell, digest in exact.items():
            now = changes[cell][1] if cell in changes else self.cells[cell].now.digest
            assert now == digest, f"the undo of {targets[cell[0]]} did not put back {cell}"
        brought: list[Version] = []
        # What another process committed that was killed is seen with it.
        own = {cell for cell, (content, _) in changes.items() if not self._is_of_others(cell, content, targets)}
        by_table = {record.table: record.id for record in new}
        for cell, (content, digest) in changes.items():
            table = cell[0]
            late = any(option.content == content for option in self.cells[cell].late)
            assert table in targets or late, f"{cell} changed, which the undo of {targets} does not concern"
            by = {by_table.get(table, UNKNOWN)}
            if cell in own:
                brought.append(self._put_back(cell, content, digest, targets.get(table, ""), by))
            elif digest not in {version.digest for version in self.cells[cell].versions}:
                # Nobody can put back what never was, so it is what a killed process committed, with all that follows.
                self._explain(cell, content, digest, (), Progress())
            else:
                self._put_back(cell, content, digest, targets.get(table, ""), by | {UNKNOWN})
        if not is_killed:
            self._check_undone(undone, own)
        for table, request in targets.items() if is_killed else ():
            self._expect_late_undo(table, request)
        self._settle_down()
        self.is_torn = False
        return brought

    def _expected_by_undo(
        self, targets: Mapping[str, str], undone: Sequence[Record], unsettled: set[str]
    ) -> dict[Cell, str]:
        """The digest of each partition that certainly is put back."""
        expected: dict[Cell, str] = {}
        for table in (record.table for record in undone if record.table not in unsettled):
            request = targets[table]
            for cell in cells_of(table):
                standing = list(self.cells[cell].versions)
                is_by_request = standing[-1].by == {request}
                is_behind_hidden = False
                while standing[-1].by == {request}:
                    is_behind_hidden |= standing.pop().is_behind_hidden
                if is_by_request and request not in standing[-1].by and not is_behind_hidden:
                    expected[cell] = standing[-1].digest
        return expected

    def _put_back(self, cell: Cell, content: Content | None, digest: str, request: str, by: set[str]) -> Version:
        partition = self.cells[cell]
        origins = [each for each in partition.versions if each.digest == digest]
        recipes = {recipe for each in origins for recipe in each.recipes}
        late = [option for option in partition.late if option.content == content]
        hidden = [option for option in partition.hidden if option.content == content]
        assert origins or late or hidden, f"the undo of {request} gave {cell} bytes that it never had"
        brought_by = frozenset(option.request for option in partition.hidden)
        brought_by = brought_by.union(*(each.by for each in partition.versions))
        is_of_request = bool(brought_by & {request, UNKNOWN} or partition.late)
        assert is_of_request, f"the undo of {request} changed {cell}, which that did not bring"
        version = Version(content, digest, recipes | {option.recipe for option in (*late, *hidden)}, frozenset(by))
        self._push(cell, version, undoes=request)
        self._propagate(cell, cascades=all(option.cascades for option in late))
        for undone in {request, *(option.undoes for option in late)}:
            self._note_put_back(cell, undone)
        return version

    def _note_put_back(self, cell: Cell, request: str) -> None:
        """The partition, and its day, are as they were before the request.

        Whoever brought the day with all of its keys since is taken back as well, or found what is not there any more.
        """
        table, day, _ = cell
        partition = self.cells[cell]
        partition.excused_at, partition.standing = self.step, None
        steps_of_request = [each.step for each in partition.versions[:-1] if each.by & {request, UNKNOWN}]
        for whole_by, step in list(self._whole_by.get((table, day), {}).items()):
            if whole_by == request or step >= min(steps_of_request, default=0):
                del self._whole_by[table, day][whole_by]
        if partition.now.content is None:
            # Now it counts as never loaded, until its input changes again.
            self._must_exist.discard((table, day))
        self._day_values[table, day] = set(DEFINITIONS[table].values)
        for progress in self._progress.values():
            progress.is_disturbed |= progress.table == table

    def _is_of_others(self, cell: Cell, content: Content | None, targets: Mapping[str, str]) -> bool:
        late = [option for option in self.cells[cell].late if option.content == content]
        return any(option.undoes != targets.get(cell[0]) for option in late)

    def _check_undone(self, undone: Sequence[Record], changes: Iterable[Cell]) -> None:
        for record in undone:
            changed_days = {day for table, day, _ in changes if table == record.table}
            missing = changed_days - set(record.published)
            assert not missing, f"{record.id} does not say that it put back {missing}"

    def _expect_late_undo(self, table: str, request: str) -> None:
        self.unsettled.add(table)
        for cell in cells_of(table):
            partition = self.cells[cell]
            if any(version.by & {request, UNKNOWN} for version in partition.versions):
                for version in partition.versions:
                    recipes = version.recipes or {Recipe(0, DEFINITIONS[table].values[0])}
                    for recipe in recipes:
                        partition.late.append(Option(version.content, recipe, UNKNOWN, cascades=True, undoes=request))

    # the end

    def assert_followed(self) -> None:
        """With nothing left to do, each partition holds what its query gives over what its inputs hold."""
        assert not self._look(), "files changed without a step"
        for cell, partition in self.cells.items():
            table, day, _ = cell
            now = partition.now
            if partition.excused_at is not None and DEFINITIONS[table].inputs:
                continue
            if now.content is None and not self._has_to_be_there(table, day):
                continue
            expected = [self.result(cell, recipe) for recipe in now.recipes or self._any_recipes(cell)]
            assert now.content in expected, f"{cell} holds {now.content} and should hold {expected}"

    def _has_to_be_there(self, table: str, day: date) -> bool:
        if DEFINITIONS[table].has_keys:
            return bool(self._whole_by.get((table, day)))
        return (table, day) in self._must_exist

    def _any_recipes(self, cell: Cell) -> Iterator[Recipe]:
        for value in DEFINITIONS[cell[0]].values:
            yield self._recipe(cell[0], cell[1], value)

    def refused_days(self, table: str) -> set[date]:
        """The days that cannot be rewritten as things stand."""
        progress = Progress()
        ask = Ask("", frozenset(PARTITION_DAYS), DEFINITIONS[table].keys, None)
        self._options(table, [ask], progress)
        return progress.refused_days

    def assert_current(self) -> None:
        """All that is loaded is made by the definition of today from the inputs of now, whatever was excused."""
        for table in ORDER[1:]:
            self._assert_current(table)

    def _assert_current(self, table: str) -> None:
        refused = self.refused_days(table)
        for cell in cells_of(table):
            now = self.cells[cell].now
            is_there = now.content is not None or (
                DEFINITIONS[table].has_keys and bool(self._whole_by.get((table, cell[1])))
            )
            if is_there and cell[1] not in refused:
                values = {recipe.value for recipe in now.recipes} or set(DEFINITIONS[table].values)
                results = [self.result(cell, self._recipe(table, cell[1], value)) for value in values]
                assert now.content in results, f"{cell} holds {now.content}, and is made again to {results}"


def cells_of(table: str, days: Iterable[date] = tuple(PARTITION_DAYS)) -> Iterator[Cell]:
    """The partitions that the table may have on these days."""
    for day in days:
        if day in PARTITION_DAYS:
            for key in DEFINITIONS[table].keys:
                yield table, day, key


def ask_of(record: Record, days: Iterable[date] | None = None) -> Ask:
    """What a record asks for."""
    definition = DEFINITIONS[record.table]
    is_keeping = record.keep_parameters or record.mode in ("cascade", "schema")
    value = int(record.parameters.get(definition.parameter or "", definition.values[0]))
    return Ask(
        record.id,
        frozenset(record.days if days is None else days),
        record.keys.get("k", definition.keys),
        None if is_keeping else value,
        record.cascade,
    )


def count_rows(content: Content | None) -> int:
    return len(content.rows) if content else 0
