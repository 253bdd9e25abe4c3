"""What an undo of a request would put back, before anybody undoes it. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from reloads.planning.undo_plan import find_asked, refuse_running, why_nothing
from reloads.requests.control import find_records
from reloads.requests.queue import Queue
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.warehouse.access import state_of
from reloads.warehouse.adoption import find_strangers
from reloads.warehouse.commit import Entry
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of
from reloads.warehouse.take_back import TakeBack, find_take_back

SOMEBODY = "somebody who put a file there"


@dataclass(frozen=True)
class PutBack:
    """A partition that would be put back, and its rows; None where it would be removed, as there was nothing before."""

    table: str
    partition: str
    rows_now: int
    rows_after: int | None


@dataclass(frozen=True)
class Later:
    """A partition that stays as it is, because somebody rewrote it later."""

    table: str
    partition: str
    request: str


@dataclass
class UndoPreview:
    """What an undo would do; the sentence says why nothing can be put back, and is None where something can."""

    sentence: str | None = None
    back: list[PutBack] = field(default_factory=list)
    later: list[Later] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)


def preview_undo(settings: Settings, catalog: Catalog, text: str, *, force: bool = False) -> UndoPreview:
    """What an undo of the request of that id, or of the requests of that dropped file, would put back now.

    Raises ``RequestError`` if there is no such request, or it may still publish.
    """
    records = find_records(Queue(settings.landing), text)
    refuse_running(settings.warehouse, records)
    found = UndoPreview()
    refusals: list[str] = []
    for record in records:
        table = catalog.definition(record.table)
        folder = folder_of(settings.warehouse, table)
        asked = find_asked(Queue(settings.landing), record.id)
        take_back = find_take_back(folder, record.id, asked=asked, force=force)
        strangers = _find_replaced(folder, take_back) if not force else set()
        rows_now = _rows_now(folder, take_back)
        for name, entry in sorted(take_back.back.items(), key=lambda each: str(each[0])):
            if name in strangers:
                found.later.append(Later(table.name, str(name), SOMEBODY))
            else:
                nothing = None if name in rows_now else 0
                rows_after = entry.rows if entry and entry.version else nothing
                found.back.append(PutBack(table.name, str(name), rows_now.get(name, 0), rows_after))
        found.later += [Later(table.name, str(name), request) for name, request in _in_order(take_back)]
        found.expired += sorted(map(str, take_back.expired))
        refusals.append(why_nothing(take_back, table, record.id))
    if not found.back:
        found.sentence = next(filter(None, refusals), f"all that {text!r} replaced was replaced by files of somebody")
    return found


def _in_order(take_back: TakeBack) -> Iterator[tuple[PartitionName, str]]:
    yield from sorted(take_back.later.items(), key=lambda each: str(each[0]))


def _find_replaced(folder: TableFolder, take_back: TakeBack) -> set[PartitionName]:
    """The partitions whose file somebody replaced without a request: an undo adopts those first, and keeps them."""
    days = {name.day for name in take_back.back}
    return set(find_strangers(folder, state_of(folder).read(days), days))


def _rows_now(folder: TableFolder, take_back: TakeBack) -> dict[PartitionName, int]:
    entries: dict[PartitionName, Entry] = dict(state_of(folder).read({name.day for name in take_back.back}).entries)
    return {name: entry.rows for name, entry in entries.items() if entry.version}
