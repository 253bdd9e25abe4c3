"""The upgrade of a warehouse that a release with ledger, history and notices of change left: they become logs.

No data is rewritten: the files get second names among the versions. Nobody sees anything of it before the log appears,
by one rename; until then it is done again from the beginning. Afterwards the old files are moved to
``warehouse/.before_log/<table>/``.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from reloads.files import cannot_write, free_name, link_or_copy, move_aside, sync_all, sync_folder
from reloads.locks import file_lock
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.lineage import Lineage
from reloads.warehouse.access import open_table
from reloads.warehouse.adoption import Facts, adopt, find_strangers
from reloads.warehouse.commit import Point
from reloads.warehouse.commit_log import CommitLog
from reloads.warehouse.cursors import AIRFLOW, Cursor, Position
from reloads.warehouse.layout import lock_file
from reloads.warehouse.old_history import UPGRADE, OldTable, Takeover, published_file, take_over
from reloads.warehouse.old_layout import OldFiles, OldLedger, read_history, read_ledger, read_notices
from reloads.warehouse.old_makings import InputNow, Makings, look_at_input
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of
from reloads.warehouse.state import Head, State

log = logging.getLogger(__name__)


def open_catalog(settings: Settings) -> Catalog:
    """The tables, once their part of the warehouse is as this release has it: whoever looks there begins here.

    Raises ``OperatorError`` where the disk refuses something.
    """
    catalog = Catalog.load(settings.tables)
    upgrade_warehouse(settings.warehouse, catalog.tables, now=datetime.now(UTC))
    return catalog


def upgrade_warehouse(warehouse: Path, tables: Mapping[str, Table], *, now: datetime) -> list[str]:
    """Take over what an earlier release left of these tables; the names of those of which it left something.

    A second time it looks at three names for each table. What was fresh stays fresh, if the tables that it reads are
    among ``tables``. Raises ``OperatorError`` where the disk refuses something; the next call goes on.
    """
    order = Lineage({name: table.inputs for name, table in tables.items()}).load_order()
    return [name for name in order if name in tables and upgrade_table(warehouse, tables[name], tables, now=now)]


def upgrade_table(warehouse: Path, table: Table, tables: Mapping[str, Table], *, now: datetime) -> bool:
    """Take over what an earlier release left of one table, after its inputs; whether there was anything."""
    files = OldFiles(warehouse, table.name)
    if not files.exist():
        return False
    folder = folder_of(warehouse, table)
    try:
        makings = Makings(table.version, _look_at_inputs(warehouse, table, tables))
        with _held(folder, files) as state:
            # Another process may have done it meanwhile.
            if not files.exist():
                return False
            ledger = read_ledger(files)
            if state.log.numbers():
                _adopt_rest(folder, state, ledger, makings, now=now)
            else:
                history, notices = read_history(files), read_notices(files)
                old = OldTable(folder, table.settings.key_slices, ledger, history, notices, makings)
                _install(old, state, table, tables, now=now)
            if ledger.schema_backfill:
                log.warning("the columns of %s changed, and not all of it has them; ask for what is stale", table.name)
            _move_old_files(files, folder)
    except OSError as error:
        raise cannot_write(Path(error.filename2 or error.filename or warehouse), error) from error
    return True


@contextmanager
def _held(folder: TableFolder, files: OldFiles) -> Iterator[State]:
    """Hold the table, also against a process of the old release that has not ended yet."""
    with open_table(folder) as state, ExitStack() as old_lock:
        if files.lock.exists() and files.lock != lock_file(folder.warehouse, folder.table):
            old_lock.enter_context(file_lock(files.lock))
        yield state


def _look_at_inputs(warehouse: Path, table: Table, tables: Mapping[str, Table]) -> dict[str, InputNow]:
    """The inputs as they are now; one whose folder is broken counts as one that changed."""
    inputs: dict[str, InputNow] = {}
    for name, window in table.inputs.items():
        known = name in tables
        inputs[name] = look_at_input(folder_of(warehouse, tables[name]), window) if known else InputNow.unknown()
    return inputs


def _install(old: OldTable, state: State, table: Table, tables: Mapping[str, Table], *, now: datetime) -> None:
    """Write the versions, the state and the cursors, and at last the log; each as if nothing of it was there."""
    takeover = take_over(old, log=uuid4().hex[:8], now=now)
    if not takeover.commits:
        return
    _link_versions(old.folder, takeover)
    new_log = CommitLog(state.warehouse, f".{table.name}.upgrade")
    for leftover in (new_log.folder, state.folder):
        if leftover.exists():
            shutil.rmtree(leftover)
    for commit in takeover.commits:
        new_log.create(commit)
    _write_state(state, takeover)
    _write_cursors(state.warehouse, table, tables, takeover.followed, takeover.commits[-1].point)
    if state.log.folder.exists():
        move_aside(state.log.folder)
    new_log.folder.rename(state.log.folder)
    sync_folder(state.log.folder.parent)


def _link_versions(folder: TableFolder, takeover: Takeover) -> None:
    folders: set[Path] = set()
    for version, file in takeover.files.items():
        version.parent.mkdir(parents=True, exist_ok=True)
        version.unlink(missing_ok=True)
        link_or_copy(file, version)
        folders.update(version.parents[: 2 + len(folder.keys)])
    sync_all(folders)


def _write_state(state: State, takeover: Takeover) -> None:
    last = takeover.commits[-1]
    state.write_again(takeover.entries)
    state.write_head(Head(last.point).after(last))


def _write_cursors(warehouse: Path, table: Table, tables: Mapping[str, Table], followed: Point, last: Point) -> None:
    """Let the downstream tables follow what nobody has followed yet, and what comes from now on."""
    for name, downstream in tables.items():
        if table.name in downstream.inputs:
            Cursor(warehouse, table.name, name).write(Position(followed))
    # Airflow was told of all of it by the release that published it.
    Cursor(warehouse, table.name, AIRFLOW).write(Position(last))
    for name in table.inputs:
        cursor = Cursor(warehouse, name, table.name)
        if cursor.read() is None:
            # Its folder was broken when the input was taken over: it follows all that came since.
            cursor.write(Position(Point()))


def _adopt_rest(folder: TableFolder, state: State, ledger: OldLedger, makings: Makings, *, now: datetime) -> None:
    """Take over what an earlier release published beside a log that is there, if it did."""
    facts: dict[PartitionName, Facts] = {}
    for name in find_strangers(folder, state.read_all(), folder.days()):
        entry = published_file(folder.file(name), name, ledger).entry
        making = makings.find(entry, name.day) if entry else None
        facts[name] = Facts(entry.rows, entry.content, making=making) if entry else Facts()
    if facts:
        adopt(folder, state, facts, run=UPGRADE, now=now)


def _move_old_files(files: OldFiles, folder: TableFolder) -> None:
    """Move the old files aside. A file with a name that is taken there gets another one."""
    aside = files.warehouse / ".before_log" / files.table
    aside.mkdir(parents=True, exist_ok=True)
    names = {files.history: "history", files.notices: "changes", files.ledger: "ledger.json"}
    if files.lock != lock_file(folder.warehouse, folder.table):
        names[files.lock] = "ledger.lock"
    for path, name in names.items():
        if path.exists():
            ending = Path(name).suffix
            path.rename(aside / (free_name(aside, name, endings=(ending,)) + ending))
    for place in {aside, *(path.parent for path in names)}:
        if place.is_dir():
            sync_folder(place)
