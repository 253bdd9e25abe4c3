"""Publishing: what a batch wrote becomes a commit, and then the current view.

The files are flushed, put among the versions and linked beside what they replace; the commit is created; the links are
renamed; the state is brought up to the log. A crash before the commit leaves nothing, and one after it is completed by
whoever comes next to the table.

In an object store the files are uploaded under names of their own; the commit is created; the store copies them to
where readers look. Who finds that somebody on another machine has created that commit decides anew, with the next
number.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

from reloads.days import Days
from reloads.errors import OperatorError, RequestError
from reloads.files import cannot_write, sync_all
from reloads.warehouse.access import begin_log, next_time, open_table, refuse_moved
from reloads.warehouse.adoption import Facts, adopt, find_strangers
from reloads.warehouse.commit import Commit, Point
from reloads.warehouse.commit_log import ConflictError
from reloads.warehouse.current_view import bring, folders_down_to, prepare, version_path, withdraw
from reloads.warehouse.mirror import mirror_of
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.publication import NewFile, Publication, Published
from reloads.warehouse.state import Snapshot, State
from reloads.warehouse.stored_view import bring_stored_view
from reloads.warehouse.touched import Touched
from reloads.warehouse.uploads import Uploads

TRIES = 20
"""So often others may publish at the very same moment, each time another commit."""


def publish(
    folder: TableFolder, publication: Publication, *, wanted: Callable[[Days], Days] = lambda days: days
) -> Published:
    """Make the files current, as one commit. Readers see each partition as it was or as it is now.

    A partition that comes out as it is published keeps its file, and is confirmed. One that somebody published since
    ``base`` keeps what they published. ``wanted`` says, once nobody else can publish, which of the days are still
    asked for; of the others nothing is published.

    Raises ``QueryError`` before anything is touched if a day holds files of somebody else, ``OperatorError`` if the
    disk does not take what all partitions need, and ``RequestError`` if the table was moved away since ``base``.
    """
    if mirror := mirror_of(folder.warehouse):
        return _publish_to_store(folder, Uploads(folder, mirror), publication, wanted)
    try:
        for day in _days_of(publication):
            folder.refuse_strangers(day)
        sync_all(file.path for file in publication.files.values())
        with open_table(folder) as state:
            wanted_days = wanted(Days.of(_days_of(publication)))
            return _publish_locked(folder, state, _restrict(publication, wanted_days))
    except OSError as error:
        raise _refusal(error, folder.warehouse) from error


def _publish_to_store(
    folder: TableFolder, uploads: Uploads, publication: Publication, wanted: Callable[[Days], Days]
) -> Published:
    with open_table(folder) as state:
        snapshot = state.read(_days_of(publication))
    expected = Touched(folder, snapshot, publication, 0, skipped=(), file_names={})
    uploads.upload(expected.new_files())
    for last_try in [False] * (TRIES - 1) + [True]:
        try:
            with open_table(folder) as state:
                wanted_days = wanted(Days.of(_days_of(publication)))
                published = _publish_locked(folder, state, _restrict(publication, wanted_days), uploads)
            break
        except ConflictError:
            if last_try:
                raise
        except RequestError:
            uploads.remove_unused(())
            raise
    after = published.commit.after.values() if published.commit else ()
    uploads.remove_unused({entry.file for entry in after})
    return published


def _days_of(publication: Publication) -> set[date]:
    return {name.day for name in (*publication.files, *publication.vanished, *publication.makings)}


def _restrict(publication: Publication, days: Days) -> Publication:
    """The publication without what is on other days."""
    return replace(
        publication,
        files={name: file for name, file in publication.files.items() if name.day in days},
        vanished=[name for name in publication.vanished if name.day in days],
        whole_days=publication.whole_days & days,
        makings={name: making for name, making in publication.makings.items() if name.day in days},
    )


def _publish_locked(
    folder: TableFolder, state: State, publication: Publication, uploads: Uploads | None = None
) -> Published:
    snapshot = _read_with_strangers(folder, state, publication)
    refuse_moved(state, snapshot.head, publication.base)
    publication = _with_vanished(folder, snapshot, publication)
    head = begin_log(folder, snapshot.head)
    number = head.point.number + 1
    superseded = _find_superseded(snapshot, publication)
    file_names = uploads.names if uploads else {}
    touched = Touched(folder, snapshot, publication, number, skipped=superseded.keys(), file_names=file_names)
    new_files = touched.new_files()
    published_ns = next_time(head, publication.now)
    refused: dict[PartitionName, OSError] = {}
    if uploads:
        uploads.upload(new_files)
    else:
        refused = _prepare_all(folder, new_files, number, published_ns)
    after = touched.entries(refused=refused.keys(), published_ns=published_ns)
    kept = _tell_superseded(state, superseded) | _tell_refused(folder, refused)
    if not after:
        return Published(None, kept, superseded)
    columns = publication.columns if new_files.keys() - refused.keys() or not head.columns else {}
    commit = Commit(
        point=Point(head.point.log, number),
        table=folder.table,
        act=publication.act,
        run=publication.run,
        batch=publication.batch,
        undoes=publication.undoes,
        published_ns=published_ns,
        day_column=folder.day_column,
        keys=folder.keys,
        after=after,
        before={name: snapshot.entries[name] for name in after if name in snapshot.entries},
        requests=publication.requests,
        no_cascade_days=publication.no_cascade_days,
        columns=columns or head.columns,
        key_types=publication.key_types or head.key_types,
    )
    state.log.create(commit)
    if uploads:
        state.apply(commit)
        bring_stored_view(folder, uploads.mirror, state)
    else:
        sync_all(bring(folder, commit))
        state.apply(commit)
    return Published(commit, kept, superseded)


def _read_with_strangers(folder: TableFolder, state: State, publication: Publication) -> Snapshot:
    """What is known of the days; files that somebody put in the place of what is replaced become versions first."""
    days = _days_of(publication)
    snapshot = state.read(days)
    strangers = [name for name in find_strangers(folder, snapshot, days) if name in publication.makings]
    if not strangers:
        return snapshot
    adopt(folder, state, {name: Facts() for name in strangers}, run=publication.run, now=publication.now)
    return state.read(days)


def _with_vanished(folder: TableFolder, snapshot: Snapshot, publication: Publication) -> Publication:
    """The publication with the partitions that are there, were rewritten, and came out without a row."""
    if publication.select is None:
        return publication
    names = [name for name, entry in snapshot.entries.items() if entry.version and folder.has_form_of(name)]
    vanished = [name for name in publication.select(names) if name not in publication.files]
    return replace(publication, vanished=vanished)


def _find_superseded(snapshot: Snapshot, publication: Publication) -> dict[PartitionName, int]:
    """The partitions that somebody published or confirmed since the publication read its inputs, and the commit."""
    base = publication.base.number if publication.base.log == snapshot.head.point.log else 0
    superseded: dict[PartitionName, int] = {}
    for name in (*publication.files, *publication.vanished):
        entries = [snapshot.entries[each] for each in (name, name.day_name) if each in snapshot.entries]
        touched = max((entry.touched for entry in entries), default=0)
        if touched > base:
            superseded[name] = touched
    return superseded


def _tell_superseded(state: State, superseded: Mapping[PartitionName, int]) -> dict[PartitionName, str]:
    sentences: dict[int, str] = {}
    for number in set(superseded.values()):
        commit = state.log.read(number)
        sentences[number] = f"it was superseded by {commit.run if commit else 'another run'}; ask again if need be"
    return {name: sentences[number] for name, number in superseded.items()}


def _tell_refused(folder: TableFolder, refused: Mapping[PartitionName, OSError]) -> dict[PartitionName, str]:
    # A folder that refuses every day is one thing to mend, not a hundred.
    place = folder.folder if len(refused) > 1 else None
    return {name: str(_refusal(error, folder.warehouse, place)) for name, error in refused.items()}


def _prepare_all(
    folder: TableFolder, files: Mapping[PartitionName, NewFile], number: int, published_ns: int
) -> dict[PartitionName, OSError]:
    """Put the files among the versions and beside what they replace; what the disk refused, by partition."""
    refused: dict[PartitionName, OSError] = {}
    folders: set[str] = set()
    for name, file in files.items():
        version = version_path(folder, name, number)
        try:
            os.makedirs(version.rpartition("/")[0], exist_ok=True)  # noqa: PTH103
            if not file.origin:
                # The time of publication rather than of writing. What an undo puts back is a link to a version.
                os.utime(file.path, ns=(published_ns, published_ns))
            os.replace(file.path, version)  # noqa: PTH105
            prepare(folder, name, number)
        except OSError as error:
            withdraw(folder, name)
            refused[name] = error
            continue
        folders.update(folders_down_to(version, name))
    sync_all(folders)
    return refused


def _refusal(error: OSError, warehouse: Path, place: Path | None = None) -> OperatorError:
    return cannot_write(place or Path(error.filename2 or error.filename or warehouse), error)
