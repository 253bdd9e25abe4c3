"""The calendar as JSON values: what the page, its API and ``--json`` give are the same texts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from reloads.inspection.calendar import Calendar, CalendarDay, Cell
from reloads.inspection.day_detail import DayDetail, PartitionDetail
from reloads.inspection.overview import TableSummary


def summary_values(summary: TableSummary) -> dict[str, Any]:
    """One table at one look."""
    days, published = summary.days, summary.published
    return {
        "last_day": str(days.ranges[-1].last) if days else None,
        "counts": dict(summary.counts),
        "published_days": len(published),
        "gaps": summary.gaps,
        "rows": summary.rows,
        "bytes": summary.bytes,
        "last_change": format_time(summary.last_change),
        "first_published": str(published.ranges[0].first) if published else None,
        "last_published": str(published.ranges[-1].last) if published else None,
        "open_requests": summary.open_requests,
        "failed_requests": summary.failed_requests,
    }


def calendar_values(calendar: Calendar, *, now: datetime, with_keys: bool = True) -> dict[str, Any]:
    """Days of one table and, in a table with keys, a row of cells for each combination of their values.

    Not ``with_keys``, these rows are left out: of a year of twenty keys they are most of a megabyte.
    """
    days = list(calendar.days.values())
    return {
        "table": calendar.table.name,
        "first": str(days[0].day) if days else None,
        "last": str(days[-1].day) if days else None,
        "keys": list(calendar.table.settings.keys),
        "as_of": format_time(now),
        "days": [day_values(each) for each in days],
        "key_rows": _key_rows(days) if with_keys and calendar.table.settings.keys else [],
    }


def day_values(each: CalendarDay) -> dict[str, Any]:
    """One day."""
    return {
        "day": str(each.day),
        **_cell_values(each.cell),
        "is_late": each.is_late,
        "partitions": len(each.partitions) or int(each.cell.published.is_there),
    }


def detail_values(table: str, detail: DayDetail) -> dict[str, Any]:
    """One day, whole."""
    failure = detail.failure
    return {
        "table": table,
        **day_values(detail.day),
        "partitions": [_partition_values(partition) for partition in detail.partitions],
        "versions": [
            {
                "partition": version.partition,
                "number": version.number,
                "rows": version.rows,
                "requests": list(version.requests),
                "written_at": format_time(version.written_at),
                "replaced_at": format_time(version.replaced_at),
            }
            for version in detail.versions
        ],
        "open_requests": list(detail.open_requests),
        "failure": failure and {"request": failure.request, "error": failure.error, "at": format_time(failure.at)},
    }


def format_time(time: datetime | None) -> str | None:
    """In UTC, to the second."""
    return time.astimezone(UTC).isoformat(timespec="seconds") if time else None


def _cell_values(cell: Cell) -> dict[str, Any]:
    published = cell.published
    return {
        "state": cell.state,
        "why": cell.why,
        "request": cell.request,
        "rows": published.rows,
        "bytes": published.bytes,
        "changed_at": format_time(published.changed_at),
    }


def _key_rows(days: list[CalendarDay]) -> list[dict[str, Any]]:
    """A row for each combination of values that one of the days has, with a cell or None for each day."""
    cells: dict[tuple[tuple[str, str], ...], dict[date, Cell]] = {}
    keys: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
    for each in days:
        for name, cell in each.partitions.items():
            if name.key_folders not in cells:
                cells[name.key_folders], keys[name.key_folders] = {}, name.key_values
            cells[name.key_folders][each.day] = cell
    rows: list[dict[str, Any]] = []
    for folders in sorted(cells):
        row: list[dict[str, Any] | None] = []
        for each in days:
            found = cells[folders].get(each.day)
            row.append(_cell_values(found) if found else None)
        rows.append({"keys": dict(keys[folders]), "days": row})
    return rows


def _partition_values(partition: PartitionDetail) -> dict[str, Any]:
    files: list[dict[str, Any]] = []
    for path, file in sorted(partition.files.items()):
        changed_at = datetime.fromtimestamp(file.modified_ns / 10**9, UTC)
        files.append({"path": path, "size": file.size, "changed_at": format_time(changed_at)})
    return {
        "name": str(partition.name),
        "keys": partition.name.key_values,
        **_cell_values(partition.cell),
        "made_at": format_time(partition.cell.published.made_at),
        "requests": list(partition.requests),
        "run": partition.run,
        "batch": partition.batch,
        "inputs": {table: point.number for table, point in partition.inputs.items()},
        "files": files,
        "parameters": dict(partition.parameters),
    }
