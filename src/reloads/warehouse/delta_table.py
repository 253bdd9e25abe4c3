"""Snapshots: the published partitions of a table as a Delta table, which readers see whole as of the end of a run.

It follows from the table's log. One commit of Delta brings all that was published since the last one, and holds the
place in the table's log up to which it goes, as Delta's own note of an application's last transaction. So whoever comes
next completes what was interrupted, and brings nothing twice.

A run of several batches publishes several commits. None of them is brought before the run has ended.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from reloads.errors import OperatorError, one_line
from reloads.files import cannot_write
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Commit, Entry, Point
from reloads.warehouse.cursors import Cursor, Position
from reloads.warehouse.delta_place import delta_place, list_gone
from reloads.warehouse.delta_types import NoDeltaTypeError, build_schema
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deltalake import DeltaTable, Schema
    from deltalake.transaction import AddAction, RemoveAction

FOLLOWER = "=delta"
"""Its name as a follower of the table's log; no table can be called so."""

LONGEST_NAMED = 400
"""The first snapshot of a log with more commits names none of their runs and requests."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeltaFiles:
    """What readers of the Delta table see."""

    point: Point
    """Up to which place in the table's log."""
    files: Mapping[PartitionName, Path]
    columns: Mapping[str, str]
    """With their SQL types, as of that place; empty where that commit is no longer kept."""


@dataclass(frozen=True)
class _Target:
    """What the Delta table is to hold next."""

    point: Point
    entries: Mapping[PartitionName, Entry]
    """Of the partitions that may differ from those that it holds now, or of all."""
    is_all: bool
    columns: Mapping[str, str]
    key_types: Mapping[str, str]
    commits: Sequence[Commit] = ()
    """Those that it brings, as far as they are known."""
    uncommitted: PartitionName | None = None
    """A partition that is published and of which the log knows nothing, as after a log was lost."""


def bring_snapshot(
    folder: TableFolder, *, open_runs: Collection[str] = (), until: Point | None = None, keep_days: int = 7
) -> Point:
    """Bring the Delta table up to the log, and return up to which commit it goes now.

    Commits of ``open_runs``, and those behind them, wait until these have ended. ``until`` is the end of the log from
    before somebody looked which runs are open: behind it may be commits of one that began since. Everything waits while
    a file has columns of another type than the table has now, as after a change of the schema, or is not in the log, as
    after that was lost, until all is reloaded: readers keep what they see. So does the first snapshot, which is of all
    that is published, while any run is open. Delta's own log is kept for ``keep_days``. Raises ``OperatorError`` where
    it cannot be written.
    """
    cursor = Cursor(folder.warehouse, folder.table, FOLLOWER)
    state_head = state_of(folder).read_head()
    head, position = state_head.point, cursor.read()
    if not state_head.day_column or (delta_place(folder).has_log() and position and position.followed == head):
        return head
    with cursor.held(), _as_operator_error(folder):
        delta = _open(folder)
        current = _find_point(delta, head)
        target = _find_target(folder, delta, current, open_runs, until=until or head)
        if target and target.point != current and _commit(folder, delta, target, keep_days=keep_days):
            delta_place(folder).flush_log()
            current = target.point
        if position is None or position.followed != current:
            cursor.write(Position(current))
        return current


def read_snapshot(folder: TableFolder) -> DeltaFiles | None:
    """What readers of the Delta table see now; None where there is none. Raises ``OperatorError``."""
    with _as_operator_error(folder):
        delta = _open(folder)
        if delta is None:
            return None
        state = state_of(folder)
        point = _find_point(delta, state.read_head().point)
        commit = state.log.read(point.number) if point.number else None
        return DeltaFiles(point, _files_of(folder, delta), commit.columns if commit else {})


def snapshot_point(folder: TableFolder) -> Point:
    """Up to which commit the Delta table goes, as far as was noted; cheap, and never later than it is."""
    position = Cursor(folder.warehouse, folder.table, FOLLOWER).read()
    return position.followed if position else Point()


def expire_snapshots(folder: TableFolder, *, days: int) -> int:
    """Remove the files that no snapshot of the last ``days``, and of the last one, has; returns their number.

    Raises ``OperatorError``.
    """
    with Cursor(folder.warehouse, folder.table, FOLLOWER).held(), _as_operator_error(folder):
        delta = _open(folder)
        if delta is None:
            return 0
        _keep_log(delta, days)
        removed: list[str] = []
        if not folder.stored:
            # In a store the files are the versions, and what is kept for an undo is in no snapshot.
            hours = 24 * max(days, 1)
            removed = delta.vacuum(retention_hours=hours, dry_run=False, enforce_retention_duration=False, full=True)
        delta.update_incremental()
        delta.create_checkpoint()
        delta.cleanup_metadata()
        return len(removed)


def verify_snapshot(folder: TableFolder) -> Iterator[str]:
    """A sentence for what the Delta table shows and should not, and for each file of it that is gone."""
    place = delta_place(folder)
    snapshot = state_of(folder).read_all()
    shown = read_snapshot(folder)
    if shown is None:
        return
    cure = f"{_cure(folder)}, and the next run of {folder.table} writes it again"
    for file in list_gone(place, shown.files):
        yield f"{file} is part of the snapshot and is gone; {cure}"
    if shown.point != snapshot.head.point:
        # It shows an earlier commit, while a run is at work.
        return
    entries = {name: entry for name, entry in snapshot.entries.items() if entry.version and folder.has_form_of(name)}
    for name in sorted(entries.keys() | shown.files.keys(), key=str):
        shown_file, entry = shown.files.get(name), entries.get(name)
        if shown_file is None or entry is None or not place.is_of(shown_file, entry):
            logged, what = entry.file_name if entry else "nothing", shown_file.name if shown_file else "nothing"
            yield f"the snapshot shows {what} of {name}, and the log says {logged}; {cure}"


def _cure(folder: TableFolder) -> str:
    """What makes room for a new Delta table; in a store its files are the versions, which stay."""
    root = delta_place(folder).root
    return f"remove {root}/_delta_log" if folder.stored else f"move {root} away"


def find_whole_end(commits: Iterable[Commit], open_runs: Collection[str], *, until: int | None = None) -> int:
    """The last of these commits, 0 for none, up to which each run is there as a whole and none is open.

    It is not behind ``until``, though the commits that follow it say which runs are not there as a whole.
    """
    commits = list(commits)
    last_of_run = {commit.run: commit.number for commit in commits}
    end = needed = 0
    for commit in commits:
        if commit.run in open_runs or (until is not None and commit.number > until):
            break
        needed = max(needed, last_of_run[commit.run])
        if commit.number == needed:
            end = needed
    return end


def _find_target(
    folder: TableFolder, delta: DeltaTable | None, current: Point, open_runs: Collection[str], *, until: Point
) -> _Target | None:
    """What is to be brought now; None while nothing is, because a run is open."""
    state = state_of(folder)
    if delta is not None and current == state.read_head().point:
        return None
    # One of another log, or of one that was put back, may hold what no commit of this log takes away.
    if delta is not None and current.number and current.number + 1 in state.log:
        commits = list(state.log.after(current.number))
        end = find_whole_end(commits, open_runs, until=until.number)
        brought = [commit for commit in commits if commit.number <= end]
        if not brought:
            return None
        last = brought[-1]
        entries: dict[PartitionName, Entry] = {}
        for commit in brought:
            entries |= {name: entry for name, entry in commit.after.items() if folder.has_form_of(name)}
        if not _is_of_schema(delta, folder, last.columns, last.key_types):
            # All files are named anew, by what is known of them now.
            everything = _everything(folder, brought)
            return everything if everything.point == last.point else None
        return _Target(last.point, entries, False, last.columns, last.key_types, brought)
    if open_runs:
        return None
    # For Delta's history, which names the runs and requests of a short log.
    everything = _everything(folder, list(state.log.after(0)) if until.number <= LONGEST_NAMED else ())
    return everything if everything.point == until else None


def _everything(folder: TableFolder, commits: Sequence[Commit] = ()) -> _Target:
    snapshot = state_of(folder).read_all()
    entries = {name: entry for name, entry in snapshot.entries.items() if folder.has_form_of(name)}
    head = snapshot.head
    uncommitted = next((name for name in folder.published() if name not in entries), None)
    return _Target(head.point, entries, True, head.columns, head.key_types, commits, uncommitted)


def _commit(folder: TableFolder, delta: DeltaTable | None, target: _Target, *, keep_days: int) -> bool:
    """Make one commit of Delta; whether it was made, which it is not while a file does not fit the columns."""
    from deltalake import CommitProperties, PostCommitHookProperties, Schema, Transaction
    from deltalake.transaction import create_table_with_add_actions

    if misfit := _find_misfit(target):
        log.warning("%s: the snapshot waits for %s, whose columns differ or are not known", folder.table, misfit)
        return False
    schema = Schema.from_json(json.dumps(_build_schema(folder, target.columns, target.key_types)))
    overwrites = target.is_all and (delta is None or not folder.stored or not _fits(delta, schema, folder, target))
    added, removed = _find_actions(folder, delta, target, overwrites=overwrites)
    if overwrites and folder.stored and delta is not None and _are_there_already(delta, added):
        log.warning("%s: the snapshot waits until all partitions are reloaded with the new columns", folder.table)
        return False
    columns = [folder.day_column, *folder.keys]
    properties = CommitProperties(
        custom_metadata=_describe(target),
        app_transactions=[Transaction(target.point.log, target.point.number)],
    )
    place = delta_place(folder)
    if delta is None:
        create_table_with_add_actions(
            place.root,
            schema,
            added,
            partition_by=columns,
            name=folder.table,
            configuration=_configuration(keep_days),
            storage_options=place.options,
            commit_properties=properties,
        )
        return True
    delta.create_write_transaction(
        [*added, *removed],
        # Only an overwriting one takes another schema; it removes all files itself.
        mode="overwrite" if overwrites else "append",
        schema=schema,
        partition_by=columns,
        commit_properties=properties,
        # Delta's own log is cleaned up where files expire.
        post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
    )
    return True


def _fits(delta: DeltaTable, schema: Schema, folder: TableFolder, target: _Target) -> bool:
    """Whether the Delta table has these columns, or has them now, as new ones at its end need no overwriting commit.

    That would add and remove the same path where a partition stays as it is, and in a store each file has one path.
    """
    if _is_of_schema(delta, folder, target.columns, target.key_types):
        return True
    now, wanted = list(delta.schema().fields), list(schema.fields)
    if wanted[: len(now)] != now:
        return False
    delta.alter.add_columns(wanted[len(now) :])
    delta.update_incremental()
    return True


def _are_there_already(delta: DeltaTable, added: Sequence[AddAction]) -> bool:
    paths = {unquote(path) for path in delta.get_add_actions().column("path").to_pylist()}
    return any(action.path in paths for action in added)


def _find_actions(
    folder: TableFolder, delta: DeltaTable | None, target: _Target, *, overwrites: bool
) -> tuple[list[AddAction], list[RemoveAction]]:
    """What Delta's log is to say of the files that come, which are brought, and of those that go."""
    from deltalake.transaction import AddAction, RemoveAction

    place, now_ms = delta_place(folder), time.time_ns() // 10**6
    old_files = _files_of(folder, delta) if delta else {}
    new: dict[PartitionName, Entry] = {}
    removed: list[RemoveAction] = []
    for name, entry in target.entries.items():
        is_there = name in old_files and place.is_of(old_files[name], entry) and not overwrites
        if entry.version and not is_there:
            new[name] = entry
    for name, old in old_files.items() if not overwrites else ():
        is_gone = target.is_all and name not in target.entries
        if is_gone or (name in target.entries and not place.is_of(old, target.entries[name])):
            path = str(old.relative_to(place.file("")))
            removed.append(RemoveAction(path, True, now_ms, partition_values=_values_of(folder, name)))
    added: list[AddAction] = []
    for name, path in place.bring(new, commit=target.point.number).items():
        entry = target.entries[name]
        action = AddAction(
            path=path,
            size=entry.bytes,
            partition_values=_values_of(folder, name),
            modification_time=entry.modified_ns // 10**6 or now_ms,
            data_change=True,
            stats=json.dumps({"numRecords": entry.rows}),
        )
        added.append(action)
    return added, removed


def _find_misfit(target: _Target) -> PartitionName | None:
    """A partition that has a column of another type than the table, or of which the columns are not known."""
    if target.uncommitted:
        return target.uncommitted
    for name, entry in target.entries.items():
        columns = entry.columns.items()
        if entry.version and (not columns or any(target.columns.get(column) != kind for column, kind in columns)):
            return name
    return None


def _describe(target: _Target) -> dict[str, Any]:
    """What Delta's history says of the commit: the runs and requests that it brings, and up to where."""
    runs = list(dict.fromkeys(commit.run for commit in target.commits))
    requests = list(dict.fromkeys(request for commit in target.commits for request in commit.requests))
    return {"reloads.commit": str(target.point), "reloads.runs": runs, "reloads.requests": requests}


def _build_schema(folder: TableFolder, columns: Mapping[str, str], key_types: Mapping[str, str]) -> dict[str, Any]:
    import duckdb

    all_columns = {folder.day_column: "DATE"}
    for key in folder.keys:
        all_columns[key] = key_types.get(key, "VARCHAR")
    with duckdb.connect(":memory:") as db:
        return build_schema(db, all_columns | dict(columns))


def _is_of_schema(
    delta: DeltaTable, folder: TableFolder, columns: Mapping[str, str], key_types: Mapping[str, str]
) -> bool:
    now: dict[str, Any] = json.loads(delta.schema().to_json())
    return now == _build_schema(folder, columns, key_types)


def _open(folder: TableFolder) -> DeltaTable | None:
    """The Delta table; None where there is none yet."""
    place = delta_place(folder)
    # Where it is used and nowhere else, as a process that was forked after its first use hangs or dies.
    from deltalake import DeltaTable

    if not DeltaTable.is_deltatable(place.root, storage_options=place.options):
        return None
    delta = DeltaTable(place.root, storage_options=place.options)
    columns = delta.metadata().partition_columns
    if columns != [folder.day_column, *folder.keys]:
        rule = f"is partitioned by {', '.join(columns)} and {folder.table} no longer is"
        raise OperatorError(f"{place.root} {rule}; {_cure(folder)}")
    return delta


def _find_point(delta: DeltaTable | None, head: Point) -> Point:
    """Up to which place the Delta table goes in the log of this head; none if it is of another log."""
    number = delta.transaction_version(head.log) if delta is not None and head.log else None
    # One that is ahead of the log is of a log that was lost and put back from a copy.
    return Point(head.log, number) if number and number <= head.number else Point()


def _files_of(folder: TableFolder, delta: DeltaTable) -> dict[PartitionName, Path]:
    place = delta_place(folder)
    files: dict[PartitionName, Path] = {}
    for text in delta.get_add_actions().column("path").to_pylist():
        path = unquote(text)
        files[PartitionName.parse(path.rpartition("/")[0])] = place.file(path)
    return files


def _values_of(folder: TableFolder, name: PartitionName) -> dict[str, str | None]:
    return {folder.day_column: str(name.day), **name.key_values}


def _configuration(days: int) -> dict[str, str | None]:
    # What Delta's own clean-up goes by; a log of less than a day would fail readers that have begun.
    span = f"interval {max(days, 1)} days"
    return {"delta.logRetentionDuration": span, "delta.deletedFileRetentionDuration": span}


def _keep_log(delta: DeltaTable, days: int) -> None:
    wanted = _configuration(days)
    if any(delta.metadata().configuration.get(name) != value for name, value in wanted.items()):
        delta.alter.set_table_properties({name: str(value) for name, value in wanted.items()})


@contextmanager
def _as_operator_error(folder: TableFolder) -> Iterator[None]:
    """Turn what Delta Lake raises into a sentence."""
    root = delta_place(folder).root
    try:
        from deltalake.exceptions import DeltaError
    except ImportError as error:
        sentence = f"{folder.table} has snapshots and Delta Lake is missing"
        raise OperatorError(f"{sentence}; install reloads[snapshots]") from error
    try:
        yield
    except NoDeltaTypeError as error:
        raise OperatorError(f"the snapshot of {folder.table} cannot be written: {one_line(error)}") from error
    except DeltaError as error:
        raise OperatorError(f"{root} cannot be used ({one_line(error)}); restore it, or move it away") from error
    except OSError as error:
        raise cannot_write(Path(error.filename2 or error.filename or root), error) from error
