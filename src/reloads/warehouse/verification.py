"""Verification: whether log, state, versions and current view of a table agree, and what mends what does not.

What can be mended without losing anything is mended on demand: the state and the view follow from the log and the
versions. The rest is for a person, with the cure in the sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from reloads.errors import shorten
from reloads.files import link_or_copy
from reloads.warehouse.access import open_table
from reloads.warehouse.adoption import find_strangers
from reloads.warehouse.commit import Entry
from reloads.warehouse.current_view import PREPARED, show, version_file, withdraw
from reloads.warehouse.fault import REMOVE, Fault
from reloads.warehouse.layout import versions_folder
from reloads.warehouse.mirror import mirror_of
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.state import Snapshot, State
from reloads.warehouse.stored_faults import find_stored_faults

LINK = "link it again with --repair"


def verify_table(folder: TableFolder, *, is_repairing: bool = False) -> list[Fault]:
    """What does not agree; what can be mended is mended if asked for. Holds the table's lock meanwhile."""
    with open_table(folder) as state:
        faults = list(_find_faults(folder, state))
        if is_repairing:
            for fault in faults:
                if fault.mend:
                    fault.mend()
        return faults


def _find_faults(folder: TableFolder, state: State) -> Iterator[Fault]:
    yield from _check_log(state)
    snapshot = state.read_all()
    wrong = _find_wrong_entries(folder, state, snapshot)
    if wrong:
        first, *others = wrong
        more = f" and {len(others)} more" if others else ""
        yield Fault(
            f"{state.folder} does not have what the log says of {first}{more}",
            "write it again with --repair",
            lambda: state.write_again(wrong),
        )
    # What the log says, so that one fault is not told again by its consequences.
    snapshot = snapshot.with_entries(wrong)
    if mirror := mirror_of(folder.warehouse):
        yield from find_stored_faults(folder, mirror, state, snapshot)
        return
    for name, entry in snapshot.entries.items():
        if entry.version:
            yield from _check_partition(folder, name, entry)
    yield from _check_strangers(folder, snapshot)
    yield from _check_orphans(folder, state, snapshot)


def _check_log(state: State) -> Iterator[Fault]:
    numbers = state.log.numbers()
    if not numbers:
        return
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if missing:
        shown = shorten(", ".join(map(str, missing)))
        yield Fault(f"{state.log.folder} lacks the commits {shown}, which nothing else holds", "restore their files")


def _find_wrong_entries(folder: TableFolder, state: State, snapshot: Snapshot) -> dict[PartitionName, Entry]:
    """What the last commit of each partition says, where the state says something else."""
    expected: dict[PartitionName, Entry] = {}
    for number in state.log.numbers():
        commit = state.log.read(number)
        if commit and (commit.day_column, commit.keys) == (folder.day_column, folder.keys):
            expected |= commit.after
    for name in list(expected):
        # The entry of a partition without rows may have expired.
        if name not in snapshot.entries and name.keys == folder.keys and not expected[name].version:
            del expected[name]
    return {name: entry for name, entry in expected.items() if snapshot.entries.get(name) != entry}


def _check_partition(folder: TableFolder, name: PartitionName, entry: Entry) -> Iterator[Fault]:
    version, shown = version_file(folder, name, entry), folder.file(name)
    if version.is_file():
        size = version.stat().st_size
        if size != entry.bytes:
            yield Fault(f"{version} has {size} bytes and was published with {entry.bytes}", f"reload {name}")
        elif not shown.exists():
            yield Fault(f"{shown} is gone", LINK, lambda: show(folder, name, entry.version))
    elif shown.is_file() and shown.stat().st_size == entry.bytes:
        yield Fault(f"{version} is gone", LINK, lambda: link_or_copy(shown, _with_folder(version)))
    else:
        yield Fault(f"{version} is gone, and {shown} is another file or none", f"reload {name}")


def _is_whole(folder: TableFolder, name: PartitionName, entry: Entry) -> bool:
    version = version_file(folder, name, entry)
    return version.is_file() and version.stat().st_size == entry.bytes


def _with_folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _check_strangers(folder: TableFolder, snapshot: Snapshot) -> Iterator[Fault]:
    for name in find_strangers(folder, snapshot, folder.days()):
        entry = snapshot.entries.get(name)
        if entry and entry.version and not _is_whole(folder, name, entry):
            continue  # said already
        cure = f"move it away, or reload {name}, which keeps it as a version"
        yield Fault(f"{folder.file(name)} was not published from here", cure)


def _check_orphans(folder: TableFolder, state: State, snapshot: Snapshot) -> Iterator[Fault]:
    """What a crash left before its commit: versions of which no commit speaks, and links to them."""
    for path in sorted(folder.folder.rglob(PREPARED)):
        name = PartitionName.parse(str(path.parent.relative_to(folder.folder)))
        yield Fault(f"{path} was left by a crash", REMOVE, partial(withdraw, folder, name))
    spoken_of = {(name, entry.version) for name, entry in snapshot.entries.items()}
    for number in state.log.numbers():
        commit = state.log.read(number)
        if commit:
            for name in commit.after:
                spoken_of.add((name, commit.after[name].version))
                spoken_of.update({(name, commit.before[name].version)} if name in commit.before else ())
    root = versions_folder(folder.warehouse, folder.table)
    for path in sorted(root.rglob("*.parquet")):
        name = PartitionName.parse(str(path.parent.relative_to(root)))
        if not path.stem.isdecimal() or (name, int(path.stem)) not in spoken_of:
            yield Fault(f"{path} belongs to no commit", REMOVE, path.unlink)
