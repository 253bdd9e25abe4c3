"""The tables of the world: what the product is told of them, and what the model knows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

FIRST, LAST = date(2024, 1, 1), date(2024, 1, 6)
DAYS = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
PARTITION_DAYS = [*DAYS, LAST + timedelta(days=1), LAST + timedelta(days=2)]
"""A table that reads several days of another follows it on later days."""
KEYS = ("a", "b", "c")
LIMIT = 30
"""A check refuses a day of ``keyed`` that has a larger total."""

SOURCES = """
create or replace view raw as from read_csv(getvariable('source') || '/*.csv', header = true,
    columns = {'day': 'date', 'k': 'varchar', 'v': 'varchar'}, auto_detect = false)
"""
CHECKS = f"create view totals_are_small as select day, total as found from new where total > {LIMIT}"


@dataclass(frozen=True)
class Definition:
    """One table, in one or several variants of its query."""

    name: str
    queries: Sequence[str]
    toml: str = 'on_empty = "publish"'
    checks: str = ""
    inputs: Mapping[str, int] = field(default_factory=dict)
    """By input, how many days a day depends on: itself and those before it."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The columns that other tables read, with their types; all variants have them."""
    has_keys: bool = False
    parameter: str | None = None
    values: Sequence[int] = (1,)
    """The values of the parameter that are asked for; the first is the default."""
    refuses_empty_days: bool = False

    @property
    def keys(self) -> Sequence[str]:
        """The values that its partitions of a day may have; one empty value where it has no key."""
        return KEYS if self.has_keys else ("",)

    def settings(self) -> str:
        """The text of its ``table.toml``."""
        text = f'day_column = "day"\nfirst_day = {FIRST}\n{self.toml}\n'
        if self.parameter:
            text += f'[parameters.{self.parameter}]\ntype = "integer"\ndefault = {self.values[0]}\n'
        return text


BASE = Definition(
    "base",
    ["select day, k, cast(v as integer) as v from raw"],
    'on_empty = "publish"\ndays_per_batch = 2\nmb_per_batch = 0',
    columns={"k": "varchar", "v": "integer"},
)
KEYED = Definition(
    "keyed",
    [f"select day, k, {n} * sum(v)::bigint * getvariable('mul') as total from base group by all" for n in (1, 2)],
    'on_empty = "publish"\nkeys = ["k"]\nkey_slices = 2',
    checks=CHECKS,
    inputs={"base": 1},
    columns={"total": "bigint"},
    has_keys=True,
    parameter="mul",
    values=(1, 2, 10),
)
SUMS = Definition(
    "sums",
    [
        "select day, sum(v)::bigint as total, count(*) as n from base group by day",
        "select day, 3 * sum(v)::bigint as total, count(*) as n from base group by day",
        "select day, 3 * sum(v)::bigint as total, count(*) as n, max(v) as most from base group by day",
        "select day, sum(v)::bigint as total, count(*) as n, max(v) as most from base group by day",
    ],
    'on_schema_change = "append"\npartitions_per_run = 3',
    inputs={"base": 1},
    columns={"total": "bigint"},
    refuses_empty_days=True,
)
WEEK_FROM = "from base, range(3) as r(days) group by 1"
WEEK = Definition(
    "week",
    [
        f"select day + days::integer as day, sum(v)::bigint as total, count(*) as n {WEEK_FROM}",
        f"select day + days::integer as day, sum(v)::bigint as total, count(*)::varchar as n {WEEK_FROM}",
        f"select day + days::integer as day, sum(v)::bigint as total, max(v) as most {WEEK_FROM}",
    ],
    'on_empty = "publish"\non_schema_change = "replace"\ndays_per_batch = 2\nmb_per_batch = 0\n'
    '[reads]\nbase = "3 days"',
    inputs={"base": 3},
    columns={"total": "bigint"},
)
BOTH = Definition(
    "both",
    [
        """select coalesce(s.day, w.day, k.day) as day, s.total * getvariable('factor') as one, w.total as three, k.keys
           from sums as s full join week as w on w.day = s.day
           full join (select day, count(*) as keys from keyed group by day) as k on k.day = coalesce(s.day, w.day)"""
    ],
    inputs={"sums": 1, "week": 1, "keyed": 1},
    parameter="factor",
    values=(1, 5),
)
DEFINITIONS = {table.name: table for table in (BASE, KEYED, SUMS, WEEK, BOTH)}
ORDER = tuple(DEFINITIONS)
"""Inputs before the tables that read them."""


def downstream_of(table: str) -> Mapping[str, int]:
    """The tables that read this one, each with the number of days that a day of it depends on."""
    return {other.name: other.inputs[table] for other in DEFINITIONS.values() if table in other.inputs}


def next_variants(table: str, variant: int) -> list[int]:
    """The variants that the table may take on; ``append`` lets no column go."""
    numbers = list(range(len(DEFINITIONS[table].queries)))
    if table == "sums" and variant >= 2:
        return [2, 3]
    return numbers
