"""Telling Airflow: one event on ``warehouse/<table>`` for what was committed since the last one, whoever published it.

Airflow is a follower like a downstream table. How far it has come stands in its own last event, as an event exists only
once the task that emits it has succeeded; the cursor beside the others spares asking where nothing is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from reloads.days import Days
from reloads.requests.announcement import publication_extra
from reloads.requests.untold import forget_untold
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Point
from reloads.warehouse.cursors import AIRFLOW, Cursor, Position
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import folder_of
from reloads.warehouse.state import State


@dataclass(frozen=True)
class News:
    """What changed in a table since Airflow was told last."""

    table: str
    days: Days
    requests: tuple[str, ...]
    rows: int
    """Of the changed partitions, as they are now."""
    point: Point

    def extra(self) -> dict[str, Any]:
        """The extra of the event."""
        return publication_extra(self.table, self.days, requests=self.requests, rows=self.rows, commit=str(self.point))


def tell(settings: Settings, catalog: Catalog, table: str, *, read_told: Callable[[], Iterable[object]]) -> News | None:
    """What Airflow is to be told of the table, as ``find_news`` has it; a broken table is told once it is mended."""
    if not catalog.is_loadable(table):
        return None
    news = find_news(settings, catalog[table], read_told=read_told)
    forget_untold(settings.landing, table)
    return news


def find_news(settings: Settings, table: Table, *, read_told: Callable[[], Iterable[object]]) -> News | None:
    """What Airflow is to be told of the table; None if it knows all. The caller emits it, or this says so again.

    ``read_told`` gives what the newest events call their ``commit``. It is not called where nothing is new.
    """
    state = state_of(folder_of(settings.warehouse, table))
    cursor = Cursor(settings.warehouse, table.name, AIRFLOW)
    with cursor.held():
        position = cursor.read() or Position(Point())
        head = state.read_head().point
        if position.followed == head:
            return None
        followed = _newest([position.followed, *_parse_points(read_told())], head)
        news = _collect(state, table.name, followed, head) if followed != head else None
        # What is emitted counts as told only once the event is there.
        cursor.write(Position(followed, asking=head) if news else Position(head))
        return news


def _parse_points(texts: Iterable[object]) -> list[Point]:
    points: list[Point] = []
    for text in texts:
        with suppress(ValueError):
            points.append(Point.parse(str(text)))
    return points


def _newest(points: Iterable[Point], head: Point) -> Point:
    """The newest of the points in the log as it is now; its beginning where there is none."""
    numbers = [point.number for point in points if point.log == head.log and point.number <= head.number]
    return Point(head.log, max(numbers, default=0))


def _collect(state: State, table: str, followed: Point, head: Point) -> News | None:
    """What the commits behind ``followed`` changed; None where they only confirmed what was there."""
    rows: dict[PartitionName, int] = {}
    requests: set[str] = set()
    if followed.number + 1 in state.log:
        for commit in state.log.after(followed.number):
            changed_days = commit.changed_days()
            rows |= {name: commit.after[name].rows for name in commit.changed_names()}
            requests |= {request for request, days in commit.requests.items() if days & changed_days}
            if commit.number == head.number:
                break
    else:
        # Older than what is kept of the log: the state knows what changed, not who asked for it.
        for name, entry in state.read_all().entries.items():
            if entry.changed > followed.number:
                rows[name] = entry.rows
    if not rows:
        return None
    days = Days.of(name.day for name in rows)
    return News(table, days, tuple(sorted(requests)), sum(rows.values()), head)
