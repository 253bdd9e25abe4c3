"""Publishing by commits: random publications, kills between any two steps and late writers, beside a model in dicts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import OperatorError, QueryError
from reloads.warehouse.access import open_table, state_of
from reloads.warehouse.adoption import Facts, adopt
from reloads.warehouse.commit import Entry, Making, Point
from reloads.warehouse.commit_log import CommitLog
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.publication import NewFile, Publication, Published
from reloads.warehouse.publishing import publish
from tests.support.process_kill import Killed, killed_after
from tests.support.warehouses import identities, shown, table, warehouse

MONDAY, TUESDAY = date(2025, 1, 6), date(2025, 2, 4)
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def name_of(folder: TableFolder, day: date, key: str = "") -> PartitionName:
    return PartitionName.of("day", day, {"k": key}) if folder.keys else PartitionName("day", day)


def publication(
    folder: TableFolder,
    files: dict[PartitionName, str],
    *,
    base: Point | None = None,
    vanished: tuple[PartitionName, ...] = (),
    is_whole: bool = False,
    run: str = "run/1",
    now: datetime = NOON,
) -> Publication:
    """Of files whose rows are the text that they hold."""
    place = folder.warehouse / ".staging"
    place.mkdir(parents=True, exist_ok=True)
    making = Making("v1", {}, {}, run, now)
    new_files: dict[PartitionName, NewFile] = {}
    for number, (name, text) in enumerate(files.items()):
        path = place / f"{number}.parquet"
        path.write_text(text)
        new_files[name] = NewFile(path, len(text), len(text), text, {"v": "INTEGER"})
    days = Days.of(name.day for name in (*files, *vanished)) if is_whole else Days()
    return Publication(
        act="load",
        run=run,
        now=now,
        day_column=folder.day_column,
        keys=folder.keys,
        base=base or state_of(folder).read_head().point,
        files=new_files,
        vanished=vanished,
        whole_days=days,
        makings=dict.fromkeys([*files, *vanished, *(PartitionName("day", day) for day in days)], making),
        requests={"r": Days.of(name.day for name in files)},
    )


@dataclass(frozen=True)
class Step:
    """One publication of the history: texts by partition ('' is a partition without rows), and how it is disturbed."""

    texts: dict[tuple[date, str], str]
    is_whole: bool
    lag: int
    """So many commits ago it read its inputs."""
    kill_after: int | None


values = st.sampled_from(["a", "b", "é/ö"])
steps = st.builds(
    Step,
    st.dictionaries(st.tuples(st.sampled_from([MONDAY, TUESDAY]), values), st.sampled_from(["", "1", "2"]), max_size=4),
    st.booleans(),
    st.sampled_from([0, 0, 0, 1, 2]),
    st.none() | st.none() | st.integers(0, 40),
)


@dataclass
class Model:
    """What the promise says of a table, in dicts by partition. A day as a whole stands under its own name."""

    texts: dict[PartitionName, str] = field(default_factory=dict)
    version: dict[PartitionName, int] = field(default_factory=dict)
    touched: dict[PartitionName, int] = field(default_factory=dict)
    number: int = 0

    def publish(self, step: Step, names: dict[tuple[date, str], PartitionName], base: int, number: int) -> bool:
        """Publish under that number, which is above all before; whether there was anything to do."""
        done = False
        late_days: set[date] = set()
        touched = dict(self.touched)
        for place, text in step.texts.items():
            name = names[place]
            if max(touched.get(name, 0), touched.get(name.day_name, 0)) > base:
                late_days.add(name.day)
                continue
            if not text and name not in self.texts:
                continue
            if not text:
                del self.texts[name], self.version[name]
            elif self.texts.get(name) != text:
                self.texts[name], self.version[name] = text, number
            done = True
            self.touched[name] = number
        if step.is_whole:
            for day in {day for day, _ in step.texts} - late_days:
                done = True
                self.touched[PartitionName("day", day)] = number
        if done:
            assert number > self.number
            self.number = number
        return done


def check(folder: TableFolder, model: Model) -> None:
    assert shown(folder) == model.texts
    entries = state_of(folder).read_all().entries
    assert {name: entry.version for name, entry in entries.items() if entry.version} == model.version
    for name in model.version:
        assert entries[name].touched == model.touched[name]
        assert entries[name].content == model.texts[name]
    assert state_of(folder).read_head().point.number == model.number


def check_that_the_state_follows_from_the_log(folder: TableFolder) -> None:
    before = state_of(folder).read_all()
    (folder.warehouse / ".state").rename(folder.warehouse / "state-aside")
    assert state_of(folder).read_all() == before
    (folder.warehouse / "state-aside").rename(folder.warehouse / ".state")


@given(st.lists(steps, max_size=8), st.sampled_from([(), ("k",)]))
def test_a_table_is_what_its_commits_say_whatever_was_killed_or_late(
    kind: str, history: list[Step], keys: tuple[str, ...]
) -> None:
    with table(kind, keys) as folder:
        model = Model()
        for place, step in enumerate(history):
            texts = step.texts if keys else {(day, ""): text for (day, _), text in step.texts.items()}
            names = {each: name_of(folder, *each) for each in texts}
            head = state_of(folder).read_head().point
            base = Point(head.log, max(0, head.number - step.lag))
            unkeyed_step = Step(texts, step.is_whole and bool(keys), step.lag, step.kill_after)
            before, files = identities(folder), {name: texts[each] for each, name in names.items() if texts[each]}
            gone = tuple(name for each, name in names.items() if not texts[each])
            act = publication(
                folder,
                files,
                base=base,
                vanished=gone,
                is_whole=step.is_whole and bool(keys),
                run=f"run/{place}",
                now=NOON + timedelta(seconds=place),
            )
            try:
                with killed_after(step.kill_after, folder.warehouse):
                    publish(folder, act)
            except Killed:
                check_each_partition_is_old_or_new(folder, model, unkeyed_step, names)
                with open_table(folder):
                    pass
                if state_of(folder).read_head().point.number == model.number:
                    check(folder, model)
                    continue
            is_done = model.publish(unkeyed_step, names, base.number, state_of(folder).read_head().point.number)
            check(folder, model)
            check_that_only_what_was_published_changed(folder, before, model, is_done=is_done)
        if (folder.warehouse / ".state").exists():
            check_that_the_state_follows_from_the_log(folder)


def check_each_partition_is_old_or_new(
    folder: TableFolder, model: Model, step: Step, names: dict[tuple[date, str], PartitionName]
) -> None:
    now = shown(folder)
    for name in {*now, *model.texts}:
        possible = {model.texts.get(name, "")}
        possible |= {text for place, text in step.texts.items() if names[place] == name}
        assert now.get(name, "") in possible


def check_that_only_what_was_published_changed(
    folder: TableFolder, before: dict[PartitionName, tuple[object, ...]], model: Model, *, is_done: bool
) -> None:
    after = identities(folder)
    for name, identity in before.items():
        if name in model.version and not (is_done and model.version[name] == model.number):
            assert after[name] == identity


@pytest.fixture
def folder(tmp_path: Path, kind: str) -> TableFolder:
    return TableFolder(warehouse(tmp_path, kind), "sales", "day")


@pytest.fixture
def own_folder(tmp_path: Path) -> TableFolder:
    """Of a warehouse that is a folder, where anybody can put and remove files."""
    return TableFolder(tmp_path, "sales", "day")


def put(folder: TableFolder, text: str, *days: date, run: str = "run/1", base: Point | None = None) -> Published:
    files = {name_of(folder, day): text for day in days}
    return publish(folder, publication(folder, files, run=run, base=base))


def test_who_publishes_late_is_told_who_was_faster(folder: TableFolder) -> None:
    begun = state_of(folder).read_head().point
    put(folder, "new", MONDAY, run="run/2")
    late = put(folder, "old", MONDAY, TUESDAY, run="run/1", base=begun)
    assert late.kept == {name_of(folder, MONDAY): "it was superseded by run/2; ask again if need be"}
    assert shown(folder) == {name_of(folder, MONDAY): "new", name_of(folder, TUESDAY): "old"}


def test_days_that_nobody_wants_any_more_are_not_published(folder: TableFolder) -> None:
    put(folder, "old", MONDAY, TUESDAY)
    act = publication(folder, {name_of(folder, day): "new" for day in (MONDAY, TUESDAY)})
    publish(folder, act, wanted=lambda days: days - Days.of([MONDAY]))
    assert shown(folder) == {name_of(folder, MONDAY): "old", name_of(folder, TUESDAY): "new"}


def test_a_partition_that_the_disk_refuses_is_named_and_the_others_are_published(own_folder: TableFolder) -> None:
    folder = own_folder
    folder.file(name_of(folder, MONDAY)).mkdir(parents=True)
    result = put(folder, "new", MONDAY, TUESDAY)
    [(name, sentence)] = result.kept.items()
    assert name == name_of(folder, MONDAY)
    assert "data.parquet cannot be written (Is a directory); make room or grant access" in sentence
    assert folder.partition(TUESDAY).read_text() == "new"
    assert result.commit is not None
    assert [*result.commit.after] == [name_of(folder, TUESDAY)]


def test_a_file_of_somebody_else_in_a_day_is_refused_before_anything_is_touched(own_folder: TableFolder) -> None:
    folder = own_folder
    put(folder, "old", MONDAY, TUESDAY)
    (folder.partition(TUESDAY).parent / "part-0.parquet").write_text("of somebody else")
    with pytest.raises(QueryError, match=r"day=2025-02-04 holds part-0.parquet besides data.parquet .*; move it away"):
        put(folder, "new", MONDAY, TUESDAY)
    assert set(shown(folder).values()) == {"old"}
    assert CommitLog(folder.warehouse, "sales").numbers() == [1]


def test_a_partition_that_somebody_removed_is_shown_again_once_it_is_confirmed(own_folder: TableFolder) -> None:
    folder = own_folder
    put(folder, "rows", MONDAY)
    folder.partition(MONDAY).unlink()
    put(folder, "rows", MONDAY)
    assert shown(folder) == {name_of(folder, MONDAY): "rows"}


def replace_by_hand(file: Path, text: str) -> None:
    """Put another file there, as another program does it."""
    beside = file.with_name(".beside")
    beside.write_text(text)
    beside.replace(file)


def test_a_file_that_somebody_put_there_is_kept_as_a_version_when_it_is_replaced(own_folder: TableFolder) -> None:
    folder = own_folder
    put(folder, "old", MONDAY)
    replace_by_hand(folder.partition(MONDAY), "of somebody")
    put(folder, "new", MONDAY)
    versions = sorted((folder.warehouse / ".versions").rglob("*.parquet"), key=lambda path: int(path.stem))
    assert [path.read_text() for path in versions] == ["old", "of somebody", "new"]
    assert shown(folder) == {name_of(folder, MONDAY): "new"}


def test_a_file_that_somebody_put_there_is_not_taken_for_what_the_log_says_of_it(own_folder: TableFolder) -> None:
    folder = own_folder
    put(folder, "rows", MONDAY)
    replace_by_hand(folder.partition(MONDAY), "of somebody")
    put(folder, "rows", MONDAY)
    assert shown(folder) == {name_of(folder, MONDAY): "rows"}


def test_a_version_that_was_found_equal_by_reading_it_is_confirmed_and_no_other(own_folder: TableFolder) -> None:
    folder = own_folder
    name = name_of(folder, MONDAY)
    folder.partition(MONDAY).parent.mkdir(parents=True)
    replace_by_hand(folder.partition(MONDAY), "rows")
    with open_table(folder) as state:
        adopt(folder, state, {name: Facts(rows=4)}, run="adopt", now=NOON)
    before = identities(folder)
    publish(folder, replace(publication(folder, {name: "rows"}), same={name: 1}))
    assert identities(folder) == before
    assert state_of(folder).read([MONDAY]).entries[name].content == "rows"
    publish(folder, replace(publication(folder, {name: "others"}), same={name: 9}))
    assert shown(folder) == {name: "others"}


def test_a_published_file_that_cannot_be_read_is_replaced_by_an_equal_one(folder: TableFolder) -> None:
    put(folder, "rows", MONDAY)
    name = name_of(folder, MONDAY)
    publish(folder, replace(publication(folder, {name: "rows"}), damaged=[name]))
    assert state_of(folder).read([MONDAY]).entries[name].version == 2


def test_a_version_whose_file_is_lost_is_replaced_by_an_equal_one(own_folder: TableFolder) -> None:
    folder = own_folder
    put(folder, "rows", MONDAY)
    shutil.rmtree(folder.warehouse / ".versions")
    shutil.rmtree(folder.folder)
    put(folder, "rows", MONDAY)
    assert shown(folder) == {name_of(folder, MONDAY): "rows"}


def test_of_the_selected_partitions_those_without_a_file_vanish(tmp_path: Path, kind: str) -> None:
    folder = TableFolder(warehouse(tmp_path, kind), "sales", "day", ("k",))
    a, b, c = (name_of(folder, MONDAY, key) for key in "abc")
    publish(folder, publication(folder, {a: "1", b: "1", c: "1"}))
    publish(folder, replace(publication(folder, {a: "2"}), select=lambda names: [name for name in names if name != c]))
    assert shown(folder) == {a: "2", c: "1"}


def test_a_partition_that_came_since_the_reading_began_does_not_vanish(tmp_path: Path, kind: str) -> None:
    folder = TableFolder(warehouse(tmp_path, kind), "sales", "day", ("k",))
    a, b = (name_of(folder, MONDAY, key) for key in "ab")
    publish(folder, publication(folder, {a: "1"}))
    begun = state_of(folder).read_head().point
    publish(folder, publication(folder, {b: "1"}, run="run/2"))
    late = publication(folder, {a: "2"}, base=begun, is_whole=True)
    result = publish(folder, replace(late, select=lambda names: names))
    assert shown(folder) == {a: "2", b: "1"}
    assert result.superseded == {b: 2}
    # Not all of the day is as the late one found it.
    assert state_of(folder).read([MONDAY]).entries[folder.day_name(MONDAY)].making is None


def test_a_log_that_was_lost_begins_anew_and_its_numbers_are_no_numbers_of_the_old_one(own_folder: TableFolder) -> None:
    folder = own_folder
    put(folder, "old", MONDAY)
    put(folder, "newer", MONDAY)
    seen = state_of(folder).read_head().point
    for name in (".log", ".state"):
        shutil.rmtree(folder.warehouse / name)
    put(folder, "newest", MONDAY)
    point = state_of(folder).read_head().point
    assert point.number > seen.number
    assert not seen.includes(point)
    assert not point.includes(seen)
    assert shown(folder) == {name_of(folder, MONDAY): "newest"}


@contextmanager
def watching_opens(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The names of the files that are opened meanwhile."""
    names: set[str] = set()
    real_open = Path.open

    def open_and_note(path: Path, *arguments: Any, **options: Any) -> Any:
        names.add(path.name)
        return real_open(path, *arguments, **options)

    with monkeypatch.context() as patches:
        patches.setattr(Path, "open", open_and_note)
        yield names


def test_the_reload_of_a_day_reads_and_writes_as_much_beside_a_thousand_days_as_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = date(2020, 1, 1)
    touched_files: dict[str, set[str]] = {}
    for table_name, count in (("small", 1), ("large", 1000)):
        folder = TableFolder(tmp_path, table_name, "day")
        put(folder, "old", *(first + timedelta(days=number) for number in range(count)))
        with watching_opens(monkeypatch) as names:
            put(folder, "new", first)
        touched_files[table_name] = {name for name in names if not name.endswith(".tmp")}
    assert touched_files["small"] == touched_files["large"]


def test_two_commits_of_one_number_cannot_be(folder: TableFolder) -> None:
    put(folder, "rows", MONDAY)
    commit = CommitLog(folder.warehouse, "sales").read(1)
    assert commit is not None
    with pytest.raises(OperatorError, match=r"1.json is there already, somebody else published it; try again"):
        CommitLog(folder.warehouse, "sales").create(replace(commit, run="run/2"))


def test_an_entry_without_a_making_survives_the_log(folder: TableFolder) -> None:
    act = publication(folder, {name_of(folder, MONDAY): "rows"})
    commit = publish(folder, Publication(**{**vars(act), "makings": {}})).commit
    assert commit is not None
    entry = state_of(folder).read([MONDAY]).entries[name_of(folder, MONDAY)]
    assert entry == Entry(1, 1, 1, None, 1, 4, 4, "rows", {"v": "INTEGER"}, commit.published_ns, entry.file)
