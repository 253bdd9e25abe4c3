"""Naming partition files to the database, as one relation with the columns that only their folders' names hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reloads.halving import attempt_by_halves
from reloads.sql import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

FILE_NAME = "reloads file"
PATH = quote_name(FILE_NAME)


def pattern(file: Path | str) -> str:
    """The pattern that matches this file alone; DuckDB takes patterns only.

    No pattern matches a path that has a backslash beside one of these characters, so such a file counts as missing.
    """
    return re.sub(r"([*?[])", r"[\1]", str(file))


def relation(files: Iterable[Path], *, columns: Mapping[str, str]) -> str:
    """A relation for a FROM clause: the rows of at least one file of the Hive layout.

    ``columns`` are the day column and the keys with their SQL types. Columns are matched by name, and one that a file
    lacks is NULL there: a table may have got it later.
    """
    paths = list(files)
    listed = ", ".join(quote_text(pattern(path)) for path in paths)
    if any("=" in part for part in paths[0].parts[: -1 - len(columns)]):
        # A folder above the warehouse would make a column too, and stand before one of the files that is called so.
        return _by_name(listed, columns)
    types = ", ".join(f"{quote_name(name)}: {quote_text(kind)}" for name, kind in columns.items())
    return f"read_parquet([{listed}], hive_partitioning = true, hive_types = {{{types}}}, union_by_name = true)"


def _by_name(listed: str, columns: Mapping[str, str]) -> str:
    """The same from the paths of the files; DuckDB then leaves out no file by its path."""
    values: list[str] = []
    for place, (name, kind) in enumerate(columns.items()):
        folder = f"split_part({PATH}, '/', {place - 1 - len(columns)})"
        values.append(f"cast(url_decode(substr({folder}, {len(name) + 2})) as {kind}) as {quote_name(name)}")
    read = (
        f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true, filename = {quote_text(FILE_NAME)})"
    )
    return f"(select * exclude ({PATH}), {', '.join(values)} from {read})"


def row_counts(db: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> dict[Path, int]:
    """The rows of each file by its footer; one that cannot be read is left out."""
    return dict(_by_file(db, files, "select file_name, num_rows from parquet_file_metadata($1)"))


def footers(db: duckdb.DuckDBPyConnection, files: Sequence[Path], key: str) -> dict[Path, str]:
    """What the footer of each file says under that key; one that cannot be read, or says nothing, is left out."""
    query = f"select file_name, decode(value) from parquet_kv_metadata($1) where decode(key) = {quote_text(key)}"
    return dict(_by_file(db, files, query))


def _by_file(db: duckdb.DuckDBPyConnection, files: Sequence[Path], query: str) -> list[tuple[Path, Any]]:
    """A file and a value for each row; a file that cannot be read gives none."""
    import duckdb

    def read(some_files: Sequence[Path]) -> list[tuple[Path, Any]]:
        rows = db.execute(query, [[pattern(file) for file in some_files]]).fetchall()
        return [(Path(name), value) for name, value in rows]

    results = attempt_by_halves(files, read, retry_on=duckdb.Error, give_up=lambda _file, _error: [])
    return list(chain.from_iterable(results))
