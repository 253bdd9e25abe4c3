"""Naming partition files to the database, as one relation with the columns that only their folders' names hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reloads.sql import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

FILE_NAME = "reloads file"
PATH = quote_name(FILE_NAME)


def pattern(file: Path) -> str:
    """The pattern that only this file matches; DuckDB knows no other way to name one.

    None matches a path that has a backslash beside one of these characters, so such a file is as good as missing.
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
    """The same from the names of the files, at the price that no file is left out by its name."""
    folders = [f"split_part({PATH}, '/', {place - 1 - len(columns)})" for place in range(len(columns))]
    values = (
        f"cast(url_decode(substr({folder}, {len(name) + 2})) as {kind}) as {quote_name(name)}"
        for folder, (name, kind) in zip(folders, columns.items(), strict=True)
    )
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
    """A file and a value for each row; files are asked together, and halved until the unreadable ones are known."""
    import duckdb

    if not files:
        return []
    try:
        rows = db.execute(query, [[pattern(file) for file in files]]).fetchall()
        return [(Path(name), value) for name, value in rows]
    except duckdb.Error:
        if len(files) == 1:
            return []
        half = len(files) // 2
        return _by_file(db, files[:half], query) + _by_file(db, files[half:], query)
