"""The SQL view ``partitions``: one row a published partition, with what its file holds and who asked for it.

What a file holds is said by its footer or, in an object store, by the log, so that no file is fetched for it. A
partition whose file is broken has no ``rows``, and hides no other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from reloads.halving import attempt_by_halves
from reloads.settings import Settings
from reloads.tables.definition import Table
from reloads.warehouse.access import state_of
from reloads.warehouse.adoption import is_ours
from reloads.warehouse.commit import Commit, Entry
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of

if TYPE_CHECKING:
    import duckdb

LOG_FIELDS = ("log_rows", "log_requests", "log_run", "log_written_at", "log_query_version", "log_parameters")
"""What the log says of a partition whose footer is not read."""

PUBLISHED = """
create table held.published as select unnest(cast(cast($1 as json) as struct(
    "table" varchar, "partition" varchar, day date, keys json, bytes bigint, published_at timestamptz,
    checked_at varchar, is_current boolean, file varchar, log_rows bigint, log_requests varchar, log_run varchar,
    log_written_at varchar, log_query_version varchar, log_parameters varchar
)[]), recursive := true)
"""

FOOTERS = """
create table held.footers (
    file varchar, "rows" bigint, requests varchar, run varchar, written_at varchar, query_version varchar,
    parameters varchar
)
"""

READ_FOOTERS = """
insert into held.footers
with notes as (
    select file_name, try(decode(key)) as name, try(decode(value)) as value from parquet_kv_metadata($1)
)
select file_name, max(num_rows),
    max(value) filter (where name = 'reloads.requests'), max(value) filter (where name = 'reloads.run'),
    max(value) filter (where name = 'reloads.written_at'), max(value) filter (where name = 'reloads.query_version'),
    max(value) filter (where name = 'reloads.parameters')
from parquet_file_metadata($1) left join notes using (file_name) group by file_name
"""

PARTITIONS = """
create view partitions as
select "table", "partition", day, keys, coalesce("rows", log_rows) as "rows", bytes, published_at,
    try_cast(try_cast(coalesce(requests, log_requests) as json) as varchar[]) as requests,
    coalesce(run, log_run) as run, try_cast(coalesce(written_at, log_written_at) as timestamptz) as written_at,
    coalesce(query_version, log_query_version) as query_version,
    try_cast(coalesce(parameters, log_parameters) as json) as parameters,
    try_cast(checked_at as timestamptz) as checked_at, is_current, file
from held.published left join held.footers using (file)
"""


def create_partitions(db: duckdb.DuckDBPyConnection, settings: Settings, tables: Iterable[Table]) -> None:
    """Make the view of the partitions of these tables, as they are published now."""
    partitions: list[dict[str, Any]] = []
    for table in tables:
        partitions += _published_partitions(settings, table)
    db.execute(PUBLISHED, [json.dumps(partitions)])
    db.execute(FOOTERS)
    _read_footers(db, [partition["file"] for partition in partitions if partition["log_rows"] is None])
    db.execute(PARTITIONS)


def _published_partitions(settings: Settings, table: Table) -> Iterator[dict[str, Any]]:
    """What the file system and the log say of each published partition of a table."""
    folder = folder_of(settings.warehouse, table)
    entries = state_of(folder).read_all().entries
    read_commit = cache(state_of(folder).log.read)
    for name, file in folder.published().items():
        entry = entries.get(name)
        if folder.stored and entry:
            size, published_at = entry.bytes, datetime.fromtimestamp(entry.modified_ns / 10**9, UTC)
        else:
            try:
                status = file.stat()
            except (FileNotFoundError, NotADirectoryError):  # removed meanwhile
                continue
            size, published_at = status.st_size, datetime.fromtimestamp(status.st_mtime, UTC)
        making = entry.making if entry and is_ours(folder, name, entry) else None
        yield {
            "table": table.name,
            "partition": str(name),
            "day": str(name.day),
            "keys": name.key_values,
            "bytes": size,
            "published_at": published_at.isoformat(),
            "checked_at": making.made_at.isoformat() if making else None,
            "is_current": making is not None and making.definition == table.version,
            "file": str(file),
            **_read_log(folder, name, entry, read_commit),
        }


def _read_log(
    folder: TableFolder, name: PartitionName, entry: Entry | None, read_commit: Callable[[int], Commit | None]
) -> dict[str, Any]:
    """What the log says of a partition in an object store, whose footer is not fetched for that."""
    if not folder.stored or entry is None:
        return dict.fromkeys(LOG_FIELDS)
    commit, making = read_commit(entry.origin), entry.making
    requests = [request for request in commit.requests if commit.serves(request, name)] if commit else []
    values = (
        entry.rows,
        json.dumps(requests),
        making.run if making else None,
        making.made_at.isoformat() if making else None,
        making.definition if making else None,
        json.dumps(dict(making.parameters)) if making and making.parameters else None,
    )
    return dict(zip(LOG_FIELDS, values, strict=True))


def _read_footers(db: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
    """Read the footers of all files in as few statements as the broken ones among them allow."""
    import duckdb

    def read(some_files: Sequence[str]) -> None:
        db.execute(READ_FOOTERS, [some_files])

    attempt_by_halves(files, read, retry_on=duckdb.Error, give_up=lambda _file, _error: None)
