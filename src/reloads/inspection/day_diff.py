"""Two versions of one day side by side: which rows were added, removed and changed, and which columns.

A version is named by the number of a commit, and is the day as it stood after that commit. ``history`` lists them.
Rows are told apart by columns that are unique in both versions. Without such columns a changed row is one that was
removed and one that was added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from reloads.errors import RequestError
from reloads.inspection.day_versions import DayVersion, find_versions
from reloads.rewriting.engine import message
from reloads.settings import Settings
from reloads.sql import quote_name
from reloads.tables.definition import Table
from reloads.warehouse.parquet import relation

if TYPE_CHECKING:
    import duckdb

EXAMPLES = 5
"""So many rows of each kind are shown, unless more are asked for."""

Row = Mapping[str, str | None]
"""The values of a row by column, as the database writes them."""


@dataclass(frozen=True)
class ChangedRow:
    """A row that is in both versions with other values."""

    row: Row
    """The values of the columns that tell it apart."""
    before: Row
    """The other values, of those columns only in which it changed."""
    after: Row


@dataclass(frozen=True)
class DayDiff:
    """What became of a day between two versions."""

    table: str
    day: date
    before: DayVersion
    after: DayVersion
    by: tuple[str, ...] = ()
    """The columns that tell rows apart; without them no row counts as changed."""
    rows_before: int = 0
    rows_after: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    changes_by_column: Mapping[str, int] = field(default_factory=dict)
    """In how many of the changed rows each column changed."""
    added_columns: Mapping[str, str] = field(default_factory=dict)
    """By name, with the type."""
    removed_columns: Mapping[str, str] = field(default_factory=dict)
    retyped_columns: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """With the type before and the type after; their values are compared as text."""
    added_rows: tuple[Row, ...] = ()
    """The first of them."""
    removed_rows: tuple[Row, ...] = ()
    changed_rows: tuple[ChangedRow, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the two hold the same."""
        columns = self.added_columns or self.removed_columns or self.retyped_columns
        return not (self.added or self.removed or self.changed or columns)


def diff_day(
    settings: Settings,
    table: Table,
    day: date,
    numbers: Sequence[int] = (),
    *,
    by: Sequence[str] = (),
    examples: int = EXAMPLES,
) -> DayDiff:
    """What became of the day between two versions.

    Without ``numbers``: by the last commit that changed it. With one: since that version. Rows are told apart by the
    columns ``by``, or by the table's ``order_by`` where that is unique. Raises ``RequestError`` where a version is not
    kept, where ``by`` names no column of both or does not tell the rows apart, and where a file cannot be read.
    """
    import duckdb

    before, after = find_versions(settings, table, day, numbers)
    with duckdb.connect(":memory:") as db:
        try:
            comparison = _Comparison(db, table, DayDiff(table.name, day, before, after))
            return comparison.compare(by, examples=examples) if comparison.opens() else comparison.diff
        except duckdb.Error as error:
            raise RequestError(
                f"the versions of {day} of {table.name} cannot be compared ({message(error)}); ask again, or for others"
            ) from error


class _Comparison:
    """The two versions as tables of the database, ``before`` and ``after``."""

    def __init__(self, db: duckdb.DuckDBPyConnection, table: Table, diff: DayDiff) -> None:
        self._db, self._table, self.diff = db, table, diff

    def opens(self) -> bool:
        """Make the views; False where neither version has a file."""
        files = {"before": self.diff.before.files, "after": self.diff.after.files}
        if not any(files.values()):
            return False
        for name, own in files.items():
            self._db.execute(f"create view {name} as {self._select(own or next(filter(None, files.values())), own)}")
        return True

    def _select(self, shape: Sequence[Path], own: Sequence[Path]) -> str:
        """The rows of a version; of one without files none, with the columns of the other one."""
        settings = self._table.settings
        # As one type on both sides: the folders' names hold no types.
        columns = {settings.day_column: "date", **dict.fromkeys(settings.keys, "varchar")}
        return f"select * from {relation(shape, columns=columns)} {'' if own else 'limit 0'}"

    def compare(self, by: Sequence[str], *, examples: int) -> DayDiff:
        """The difference."""
        old, new = self._columns("before"), self._columns("after")
        common = [name for name in new if name in old]
        retyped = {name: (old[name], new[name]) for name in common if old[name] != new[name]}
        for name in ("before", "after"):
            self._db.execute(f"create table {name}_rows as select {_list_columns(common, retyped)} from {name}")
        diff = replace(
            self.diff,
            by=self._choose_columns(by, common),
            rows_before=self._count("before_rows"),
            rows_after=self._count("after_rows"),
            added_columns={name: kind for name, kind in new.items() if name not in old},
            removed_columns={name: kind for name, kind in old.items() if name not in new},
            retyped_columns=retyped,
        )
        if diff.by:
            self._pair_rows(diff.by)
        else:
            for kind, more, less in (("added", "after", "before"), ("removed", "before", "after")):
                self._db.execute(f"create table {kind} as from {more}_rows except all from {less}_rows")
        diff = replace(
            diff,
            added=self._count("added"),
            removed=self._count("removed"),
            added_rows=tuple(self._read("added", common, examples)),
            removed_rows=tuple(self._read("removed", common, examples)),
        )
        return self._with_changes(diff, common, examples) if diff.by else diff

    def _columns(self, relation_name: str) -> dict[str, str]:
        rows = self._db.execute(f"describe {relation_name}").fetchall()
        return {name: kind for name, kind, *_ in rows}

    def _count(self, relation_name: str) -> int:
        [(count,)] = self._db.execute(f"select count(*) from {relation_name}").fetchall()
        return int(count)

    def _choose_columns(self, by: Sequence[str], common: Sequence[str]) -> tuple[str, ...]:
        unknown = [name for name in by if name not in common]
        if unknown:
            raise RequestError(
                f"{unknown[0]!r} is not a column of both versions; they share {', '.join(common)}, name some of them"
            )
        columns = tuple(by) or tuple(name for name in self._table.settings.order_by if name in common)
        if not columns or self._is_unique(columns):
            return columns
        if by:
            raise RequestError(
                f"{', '.join(by)} does not tell the rows of {self.diff.day} apart; name more columns, or none"
            )
        return ()

    def _is_unique(self, columns: Sequence[str]) -> bool:
        for name in ("before_rows", "after_rows"):
            [(count,)] = self._db.execute(
                f"select count(*) from (select distinct {_list_columns(columns)} from {name})"
            ).fetchall()
            if count != self._count(name):
                return False
        return True

    def _pair_rows(self, by: Sequence[str]) -> None:
        same = " and ".join(f"b.{quote_name(name)} is not distinct from a.{quote_name(name)}" for name in by)
        self._db.execute(f"create table added as from after_rows a anti join before_rows b on {same}")
        self._db.execute(f"create table removed as from before_rows b anti join after_rows a on {same}")
        self._db.execute(
            f"create table changed as select b as b, a as a from before_rows b join after_rows a on {same} "
            "where b is distinct from a"
        )

    def _with_changes(self, diff: DayDiff, common: Sequence[str], examples: int) -> DayDiff:
        others = [name for name in common if name not in diff.by]
        by_column: dict[str, int] = {}
        for name in others:
            column = quote_name(name)
            [(count,)] = self._db.execute(
                f"select count(*) from changed where b.{column} is distinct from a.{column}"
            ).fetchall()
            if count:
                by_column[name] = count
        rows: list[ChangedRow] = []
        old, new = (self._read("changed", common, examples, of=side) for side in ("b", "a"))
        for before, after in zip(old, new, strict=True):
            names = [name for name in others if before[name] != after[name]]
            rows.append(
                ChangedRow(
                    row={name: after[name] for name in diff.by},
                    before={name: before[name] for name in names},
                    after={name: after[name] for name in names},
                )
            )
        return replace(diff, changed=self._count("changed"), changes_by_column=by_column, changed_rows=tuple(rows))

    def _read(self, relation_name: str, columns: Sequence[str], most: int, *, of: str = "") -> list[Row]:
        """The first rows in the order of their columns, as text."""
        prefix = f"{of}." if of else ""
        texts = ", ".join(f"cast({prefix}{quote_name(name)} as varchar)" for name in columns)
        order = ", ".join(f"{'a.' if of else ''}{quote_name(name)}" for name in columns)
        rows = self._db.execute(f"select {texts} from {relation_name} order by {order} limit $1", [most]).fetchall()
        return [dict(zip(columns, row, strict=True)) for row in rows]


def _list_columns(names: Sequence[str], as_text: Mapping[str, object] | None = None) -> str:
    listed: list[str] = []
    for name in names:
        column = quote_name(name)
        listed.append(f"cast({column} as varchar) as {column}" if as_text and name in as_text else column)
    return ", ".join(listed)
