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
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reloads.inspection.read_only_files import ReadOnlyFiles
from reloads.inspection.sql_calendar import create_calendar
from reloads.inspection.sql_partitions import create_partitions
from reloads.inspection.sql_tables import create_tables
from reloads.requests.batch_notes import read_batches
from reloads.requests.progress import add_progress
from reloads.requests.queue import RECORD_STATES, Queue
from reloads.settings import Settings
from reloads.warehouse.upgrade import open_catalog

if TYPE_CHECKING:
    import duckdb

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

    catalog = open_catalog(settings)
    db = duckdb.connect(":memory:")
    try:
        db.execute("set timezone = 'UTC'")
        db.execute("create schema held")
        db.execute(PROGRESS, [json.dumps(list(_read_progress(settings)))])
        listed = catalog.tables.values() if query is None or "partitions" in query.lower() else ()
        create_partitions(db, settings, listed)
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
