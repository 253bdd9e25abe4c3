"""SQL views of the landing folder and the warehouse: three of ours, and one of each table.

requests      one row a request: accepted, cancelled, failed, done (archived too), and one a rejected file
partitions    one row a published partition: what its file holds, who asked for it, whether its query is today's
calendar      one row a day of a table: whether it is there, fresh, stale, empty, awaited or failed, and why
<table>       the rows of a table that are published; also as tables.<table>, for one whose name is one of the above

``requests`` reads the folders at each query. The others, and the progress of requests, are shown as they were when the
views were opened. A query reads nothing but the two folders and writes nothing, as it has no file system but
``ReadOnlyFiles``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from reloads.halving import attempt_by_halves
from reloads.inspection.read_only_files import ReadOnlyFiles
from reloads.inspection.sql_calendar import create_calendar
from reloads.inspection.sql_tables import create_tables
from reloads.requests.batch_notes import read_batches
from reloads.requests.progress import add_progress
from reloads.requests.queue import RECORD_STATES, Queue
from reloads.settings import Settings
from reloads.tables.definition import Table
from reloads.warehouse.access import state_of
from reloads.warehouse.adoption import is_ours
from reloads.warehouse.commit import Commit, Entry
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of
from reloads.warehouse.upgrade import open_catalog

if TYPE_CHECKING:
    import duckdb

LOG_FIELDS = ("log_rows", "log_requests", "log_run", "log_written_at", "log_query_version", "log_parameters")
"""What the log says of a partition whose footer is not read."""

VIEWS = ("requests", "partitions", "calendar")

RECORD = """struct(
    id varchar, mode varchar, "table" varchar, days varchar[], accepted_at timestamptz, finished_at timestamptz,
    file varchar, reason varchar, requested_by varchar, keys json, "only" varchar, "cascade" boolean, parameters json,
    keep_parameters boolean, cause struct("table" varchar, days varchar[], requests varchar[]),
    planned struct(days varchar[], why varchar)[], skipped struct(days varchar[], why varchar)[],
    waiting struct(days varchar[], why varchar)[], published varchar[], unchanged varchar[], cancelled varchar[],
    failed struct(days varchar[], error varchar, transient boolean, superseded boolean)[],
    "rows" bigint, rows_before bigint, bytes bigint, seconds double,
    checks struct("check" varchar, severity varchar, days varchar[], "rows" bigint, found varchar, expected varchar)[],
    children varchar[], runs varchar[], workers struct(days varchar[], worker varchar)[]
)"""
"""The type of a record. A field that an old record lacks is NULL; a field that is not named here is left out."""

# read_blob and not read_json, which fails at the first file that is not JSON, and where there is no file. As in the
# queue, only a file with the name of its id is a record. The folders are listed in the order in which records move, so
# that a record that moves meanwhile is met at least once; it counts where it was met last.
REQUESTS = f"""
create view requests as
with files as (
    select 1 as place, 'accepted' as state, filename, content from read_blob('landing://accepted/*.json')
    union all select 2, 'cancelled', filename, content from read_blob('landing://cancelled/*.json')
    union all select 3, 'failed', filename, content from read_blob('landing://failed/*.json')
    union all select 4, 'done', filename, content from read_blob('landing://done/*.json')
), texts as (
    select place, state, parse_filename(filename, true) as stem, try(cast(decode(content) as json)) as fields from files
    union all
    select 5, 'done', fields ->> 'id', fields
    from read_ndjson_objects('landing://done/archive/*.jsonl', ignore_errors = true, allow_empty = true)
        as lines(fields)
), latest as (
    from texts where fields ->> 'id' = stem qualify row_number() over (partition by stem order by place desc) = 1
), records as (
    select state, try_cast(fields as {RECORD}) as record from latest
)
select record.id as id, state, record.* exclude (id), progress, record.failed[1].error as error
from records left join held.progress on progress.id = record.id
union all by name
select 'rejected' as state, regexp_replace(filename, '^.*/(.*)[.]error[.]txt$', '\\1.json') as file,
    last_modified as finished_at, rtrim(try(decode(content)), chr(10)) as error
from read_blob('landing://rejected/*.error.txt')
"""

PROGRESS = """
create table held.progress as select each.* from unnest(cast(cast($1 as json) as struct(
    id varchar, progress struct(
        days bigint, staged bigint, "rows" bigint, step varchar, percent integer, run varchar, "at" timestamptz
    )
)[])) as requests(each)
"""

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


LOCK = """
set temp_directory = '';
set python_enable_replacements = false;
set autoinstall_known_extensions = false;
set autoload_known_extensions = false;
set allow_persistent_secrets = false;
set allowed_directories = ['landing://', 'warehouse://'];
set enable_external_access = false;
set disabled_filesystems = 'LocalFileSystem';
set lock_configuration = true;
"""
"""What leaves the database no file system but ours. In this order: once the last two are set, nothing can be set."""


def open_views(
    settings: Settings, *, query: str | None = None, now: datetime | None = None
) -> duckdb.DuckDBPyConnection:
    """A database in memory with the views, those of the tables included; times are shown in UTC.

    What cannot be read does not hide the rest: a file that does not hold a record is left out, and a partition whose
    file is broken has no ``rows``. Tables whose folder is broken have no partitions here. For a ``query`` that does not
    name ``partitions`` there are none, as to list them opens the footer of every file; so it is with ``calendar``, and
    with each table.
    """
    import duckdb

    partitions: list[dict[str, Any]] = []
    catalog = open_catalog(settings)
    if query is None or "partitions" in query.lower():
        for table in catalog.tables.values():
            partitions += _published_partitions(settings, table)
    db = duckdb.connect(":memory:")
    try:
        db.execute("set timezone = 'UTC'")
        db.execute("create schema held")
        db.execute(PROGRESS, [json.dumps(list(_read_progress(settings)))])
        db.execute(PUBLISHED, [json.dumps(partitions)])
        db.execute(FOOTERS)
        _read_footers(db, [partition["file"] for partition in partitions if partition["log_rows"] is None])
        db.execute(PARTITIONS)
        if query is None or "calendar" in query.lower():
            create_calendar(db, settings, catalog, now=now or datetime.now(UTC))
        folders = {"landing": settings.landing, "warehouse": settings.warehouse}
        db.register_filesystem(ReadOnlyFiles(folders, moves=RECORD_STATES[1:]))
        db.execute(REQUESTS)
        create_tables(db, settings, catalog, query=query, taken=VIEWS)
        db.execute(LOCK)
    except BaseException:
        db.close()
        raise
    return db


def _read_progress(settings: Settings) -> Iterator[dict[str, Any]]:
    """The progress of each request that a batch works at."""
    now = datetime.now(UTC)
    batches = read_batches(settings.landing, now=now)
    records = Queue(settings.landing).records("accepted") if batches else []
    for record in add_progress(records, batches):
        if record.progress:
            yield {"id": record.id, "progress": record.progress.model_dump(mode="json")}


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
