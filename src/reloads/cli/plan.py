"""How ``reloads plan`` tells what a request would do: ranges and totals of each table, or every partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from reloads.cli.answer import Answer, Block, Column, Grid, Lines, Row, count, megabytes
from reloads.days import Days
from reloads.inspection.plan_summary import PlanPart, TablePlan, summarize
from reloads.inspection.preview import PlanLine, Preview

SHOWN_RANGES = 3
SUMMARY = (
    Column("plan"),
    Column("table"),
    Column("partitions", is_number=True),
    Column("rows now", is_number=True),
    Column("size now", is_number=True),
)
PARTITIONS = (
    Column("plan"),
    Column("table"),
    Column("partition"),
    Column("rows now", is_number=True),
    Column("bytes now", is_number=True),
)


def answer_plan(plans: Sequence[Preview], *, everything: bool) -> Answer:
    """The plans of the requests of a file, one behind the other."""
    blocks: list[Block] = []
    values: list[dict[str, Any]] = []
    for preview in plans:
        tables = summarize(preview)
        if everything:
            blocks.append(Grid(PARTITIONS, [_partition_row(line) for line in preview]))
        else:
            blocks.append(Grid(SUMMARY, list(_summary_rows(tables)), rest="--json shows all"))
        blocks.append(Lines([_total(tables)]))
        value: dict[str, Any] = {"tables": [_table_values(table) for table in tables]}
        if everything:
            value["partitions"] = [_partition_values(line) for line in preview]
        values.append(value)
    return Answer({"requests": values}, blocks)


def shorten_days(days: Days) -> str:
    """The first ranges, and how many there are more."""
    texts = days.texts()
    more = len(texts) - SHOWN_RANGES
    return ", ".join(texts[:SHOWN_RANGES]) + (f", … ({count(more, 'more range')})" if more > 0 else "")


def _summary_rows(tables: Sequence[TablePlan]) -> Iterator[Row]:
    for table in tables:
        for part in table.parts:
            days = f"{shorten_days(part.days)} ({count(len(part.days), 'day')}): {part.why}"
            yield Row((_act(part.is_planned), table.table, part.partitions, part.rows, megabytes(part.bytes)), (days,))


def _partition_row(line: PlanLine) -> Row:
    note = line.why if line.bytes is not None else f"{line.why}; nothing is published there"
    return Row((_act(line.is_planned), line.table, line.partition, line.rows, line.bytes), (note,))


def _act(is_planned: bool) -> str:  # noqa: FBT001 - it is the subject
    return "rewrite" if is_planned else "skip"


def _total(tables: Sequence[TablePlan]) -> str:
    parts: list[PlanPart] = []
    for table in tables:
        parts += table.planned
    number = sum(part.partitions for part in parts)
    rows, size = sum(part.rows for part in parts), sum(part.bytes for part in parts)
    planned = [table for table in tables if table.planned]
    if not planned:
        return "nothing would be rewritten"
    total = f"{count(number, 'partition')} of {count(len(planned), 'table')} would be rewritten"
    return f"{total}, which now have {count(rows, 'row')}, {megabytes(size)}"


def _table_values(table: TablePlan) -> dict[str, Any]:
    parts = [
        {
            "is_planned": part.is_planned,
            "why": part.why,
            "days": part.days,
            "partitions": part.partitions,
            "rows": part.rows,
            "bytes": part.bytes,
        }
        for part in table.parts
    ]
    return {"table": table.table, "planned_days": table.planned_days, "parts": parts}


def _partition_values(line: PlanLine) -> dict[str, Any]:
    return {
        "table": line.table,
        "partition": line.partition,
        "is_planned": line.is_planned,
        "why": line.why,
        "rows": line.rows,
        "bytes": line.bytes,
    }
