"""Tables for tests of a running stack: their queries, and the folders of a home that holds them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.clone import copy_tables

ROWS_A_DAY = 100

# A rewrite that brings the same content publishes nothing; here each brings another time, so that it can be counted.
PLAIN = f"""\
select cast(midnight as date) as day, number, 10 * number as value, now() as rewritten_at
from generate_series(date '2024-01-01', date '2099-12-31', interval 1 day) as days(midnight)
cross join generate_series(1, {ROWS_A_DAY}) as numbers(number)
"""

BIG_ROWS_A_DAY = 20_000
BIG = PLAIN.replace(f"generate_series(1, {ROWS_A_DAY})", f"generate_series(1, {BIG_ROWS_A_DAY})")


@dataclass(frozen=True)
class ScenarioTable:
    """A table that a test works on: its query, and what ``table.toml`` says beside day column and first day."""

    query: str = PLAIN
    settings: Mapping[str, object] = field(default_factory=dict)
    first_day: str = "2024-01-01"


def lay_out(home: Path, tables: Mapping[str, ScenarioTable]) -> None:
    """Copy the tables of the clone into the home, and add these to them."""
    copy_tables(home)
    for name, table in tables.items():
        write_table(home / "tables", name, table)


def write_table(tables: Path, name: str, table: ScenarioTable) -> None:
    """A new table folder, which appears whole."""
    beside = tables / f".{name}"
    beside.mkdir()
    lines = ['day_column = "day"', f"first_day = {table.first_day}"]
    for key, value in table.settings.items():
        lines.append(f"{key} = {json.dumps(value)}")
    (beside / "query.sql").write_text(table.query)
    (beside / "table.toml").write_text("\n".join([*lines, ""]))
    beside.rename(tables / name)


def write_query(tables: Path, name: str, query: str) -> None:
    """Replace the query of a table."""
    beside = tables / name / ".query.sql"
    beside.write_text(query)
    beside.replace(tables / name / "query.sql")
