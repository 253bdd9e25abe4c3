"""Finding staged files whose rows are not in the order that their table asks for.

DuckDB 2.0.0 swaps rows when a partitioned COPY of at most some 2,000 rows makes partitions of two to six rows, on one
thread too. None were swapped in larger partitions, of 200 to 36 million rows in all; files of up to ``MOST_ROWS`` rows
are looked at all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reloads.sql import quote_name, quote_text
from reloads.warehouse.parquet import FILE_NAME, PATH, pattern

if TYPE_CHECKING:
    import duckdb

MOST_ROWS = 10_000


def find_out_of_order(
    db: duckdb.DuckDBPyConnection, rows_by_file: Mapping[Path, int], order_by: Sequence[str]
) -> list[Path]:
    """Those of the files that have a row before one that belongs in front of it."""
    files = [pattern(file) for file, rows in rows_by_file.items() if 1 < rows <= MOST_ROWS]
    if not files or not order_by:
        return []
    # Of the system, because the sources of a table may define a macro of that name.
    keys = ", ".join(f"{quote_name(column)}, 'asc nulls last'" for column in order_by)
    query = f"""
        with numbered as (
            select {PATH} as file, file_row_number as place, system.main.create_sort_key({keys}) as key
            from read_parquet($1, hive_partitioning = false, file_row_number = true, filename = {quote_text(FILE_NAME)})
        ), compared as (
            select file, key < lag(key) over (partition by file order by place) as is_swapped from numbered
        )
        select distinct file from compared where is_swapped order by file
    """
    return [Path(file) for (file,) in db.execute(query, [files]).fetchall()]
