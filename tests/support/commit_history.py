"""A table whose commits are made by requests and undos with short names. Its files hold texts instead of Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from reloads.days import Days
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Making
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.publication import NewFile, Publication
from reloads.warehouse.publishing import publish
from reloads.warehouse.take_back import Asked, TakeBack, build_undo, find_take_back
from tests.support.warehouses import shown, table

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


class History:
    """A table whose commits are made by requests and undos with short names."""

    def __init__(self, folder: TableFolder) -> None:
        self.folder = folder
        self.number = 0
        self.hours = 0
        self.asked: dict[str, Asked] = {}
        """What each request asked for, by when it came first."""

    @property
    def now(self) -> datetime:
        """A second later with each act."""
        return NOON + timedelta(hours=self.hours, seconds=self.number)

    def name(self, place: tuple[date, str]) -> PartitionName:
        day, key = place
        return PartitionName.of("day", day, {"k": key}) if self.folder.keys else PartitionName("day", day)

    def place(self) -> Path:
        self.number += 1
        place = self.folder.warehouse / ".staging" / str(self.number)
        place.mkdir(parents=True)
        return place

    def load(self, texts: dict[PartitionName, str], request: str, *, is_whole: bool = False) -> None:
        place, now = self.place(), self.now
        self.note(request, Days.of(name.day for name in texts))
        files: dict[PartitionName, NewFile] = {}
        for number, (name, text) in enumerate(texts.items()):
            if text:
                (place / str(number)).write_text(text)
                files[name] = NewFile(place / str(number), len(text), len(text), text, {})
        days = Days.of(name.day for name in texts) if is_whole else Days()
        making = Making("v", {}, {}, f"of {request}", now)
        publish(
            self.folder,
            Publication(
                act="load",
                run=f"run/{self.number}",
                now=now,
                day_column="day",
                keys=self.folder.keys,
                base=state_of(self.folder).read_head().point,
                files=files,
                vanished=[name for name in texts if name not in files],
                whole_days=days,
                makings=dict.fromkeys([*texts, *(PartitionName("day", day) for day in days)], making),
                requests={request: Days.of(name.day for name in texts)},
            ),
        )

    def note(self, request: str, days: Days) -> None:
        """A request for these days came, or came again."""
        earlier = self.asked.get(request, Asked(Days(), self.now))
        self.asked[request] = Asked(earlier.days | days, earlier.at)

    def find(self, request: str, *, force: bool = False) -> TakeBack:
        """What an undo takes back: the same whether it is known what the request asked for, or not."""
        found = find_take_back(self.folder, request, force=force)
        asked = self.asked.get(request)
        assert asked is None or find_take_back(self.folder, request, asked=asked, force=force) == found
        return found

    def undo(self, request: str, undo: str, *, force: bool = False) -> TakeBack:
        found = self.find(request, force=force)
        self.note(undo, Days.of(name.day for name in found.back))
        place, now = self.place(), self.now
        act = build_undo(self.folder, found, request=request, undo=undo, run=f"undo/{undo}", place=place, now=now)
        publish(self.folder, act)
        return found

    def shown(self) -> dict[PartitionName, str]:
        return shown(self.folder)


@contextmanager
def history(keys: tuple[str, ...], kind: str = "folder") -> Iterator[History]:
    """A table in a folder or in an object store."""
    with table(kind, keys) as folder:
        yield History(folder)
