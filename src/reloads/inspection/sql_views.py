"""Two SQL views of the landing folder and the warehouse.

requests      one row a request: accepted, cancelled, failed, done (archived too), and one a rejected file
partitions    one row a published partition: what its file holds, who asked for it, whether its query is today's

``requests`` reads the folders at each query; ``partitions`` shows the warehouse as it was when the views were opened.
A query reads nothing but these two folders and writes nothing, as it has no file system but ``ReadOnlyFiles``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from reloads.errors import RequestError, printable
from reloads.halving import attempt_by_halves
from reloads.inspection.read_only_files import ReadOnlyFiles, Refusal
from reloads.rewriting.engine import message
from reloads.settings import Settings
from reloads.sql import quote_name
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.warehouse.fingerprint import identity
from reloads.warehouse.ledger import read_ledger
from reloads.warehouse.partitions import folder_of

if TYPE_CHECKING:
    import duckdb

RAISED = re.compile(r"Traceback [^\n]*\n(?: [^\n]*\n)*[\w.]*?(?P<kind>\w+): (?P<words>[^\n]*)")
"""What ``ReadOnlyFiles`` raised, in the database's words."""

ATTEMPTS = 5
"""So often is a query tried while records move between the folders that it reads."""

RECORD = """struct(
    id varchar, mode varchar, "table" varchar, days varchar[], accepted_at timestamptz, finished_at timestamptz,
    file varchar, reason varchar, requested_by varchar, keys json, "only" varchar, "cascade" boolean, parameters json,
    cause struct("table" varchar, days varchar[], requests varchar[]),
    planned struct(days varchar[], why varchar)[], skipped struct(days varchar[], why varchar)[],
    published varchar[], unchanged varchar[], cancelled varchar[],
    failed struct(days varchar[], error varchar, transient boolean)[],
    "rows" bigint, rows_before bigint, bytes bigint, seconds double,
    checks struct("check" varchar, severity varchar, days varchar[], "rows" bigint, found varchar, expected varchar)[],
    children varchar[], runs varchar[]
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
select record.id as id, state, record.* exclude (id), record.failed[1].error as error from records
union all by name
select 'rejected' as state, regexp_replace(filename, '^.*/(.*)[.]error[.]txt$', '\\1.json') as file,
    last_modified as finished_at, rtrim(try(decode(content)), chr(10)) as error
from read_blob('landing://rejected/*.error.txt')
"""

PUBLISHED = """
create table held.published as select unnest(cast(cast($1 as json) as struct(
    "table" varchar, "partition" varchar, day date, keys json, bytes bigint, published_at timestamptz,
    checked_at varchar, is_current boolean, file varchar
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
select "table", "partition", day, keys, "rows", bytes, published_at,
    try_cast(try_cast(requests as json) as varchar[]) as requests, run,
    try_cast(written_at as timestamptz) as written_at, query_version, try_cast(parameters as json) as parameters,
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

CURE = "it may read the views, and files like 'warehouse://flights/**/*.parquet' or 'landing://done/*.json'"


def open_views(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A database in memory with the views ``requests`` and ``partitions``; times are shown in UTC.

    What cannot be read does not hide the rest: a file that does not hold a record is left out, and a partition whose
    file is broken has no ``rows``. Tables whose folder is broken have no partitions here.
    """
    import duckdb

    partitions: list[dict[str, Any]] = []
    for table in Catalog.load(settings.tables).tables.values():
        partitions += _published_partitions(settings, table)
    db = duckdb.connect(":memory:")
    try:
        db.execute("set timezone = 'UTC'")
        db.execute("create schema held")
        db.execute(PUBLISHED, [json.dumps(partitions)])
        db.execute(FOOTERS)
        _read_footers(db, [partition["file"] for partition in partitions])
        db.execute(PARTITIONS)
        db.register_filesystem(ReadOnlyFiles({"landing": settings.landing, "warehouse": settings.warehouse}))
        db.execute(REQUESTS)
        db.execute(LOCK)
    except BaseException:
        db.close()
        raise
    return db


def query_views(db: duckdb.DuckDBPyConnection, statement: str) -> duckdb.DuckDBPyRelation:
    """The answer to one SELECT, which stays as it is whatever happens to the files.

    Raises ``RequestError`` with the database's words for anything else, and for a query that fails, writes or reads
    beside the folders.
    """
    import duckdb

    try:
        kinds = [parsed.type for parsed in duckdb.extract_statements(statement)]
        if kinds != [duckdb.StatementType.SELECT] or _writes(db, statement):
            raise RequestError("the views answer exactly one SELECT; write one like: from requests")
        return _answer(db, statement)
    except duckdb.Error as error:
        raise RequestError(_describe_fault(error)) from error


def _writes(db: duckdb.DuckDBPyConnection, statement: str) -> bool:
    """Whether a part of the SELECT inserts, updates, deletes or copies, which DuckDB allows in a WITH clause.

    This is for the sentence. A COPY that is hidden better finds no file to write to, and any other part could change
    but the tables in memory, which end with the connection.
    """
    [(tree,)] = db.execute("select json_serialize_sql($1::varchar)", [statement]).fetchall()
    return re.search(r'"type":"\w+_QUERY_NODE"', tree) is not None


def _answer(db: duckdb.DuckDBPyConnection, statement: str) -> duckdb.DuckDBPyRelation:
    """The answer in a table of its own, because a relation that is printed runs its query once more."""
    name = f"held.answer_{uuid4().hex}"
    look_again(lambda: db.sql(statement).create(name))
    return db.table(name)


def _describe_fault(error: duckdb.Error) -> str:
    """Why the query failed, in one sentence."""
    import duckdb

    raised = RAISED.search(str(error))
    if raised and raised["kind"] == Refusal.__name__:
        return f"the query is refused: {raised['words']}; {CURE}"
    if isinstance(error, duckdb.PermissionException):
        return f"the query is refused: it reaches for something outside; {CURE}"
    words = raised["words"] if raised else message(error)
    return f"the query fails: {words}; mend it, or ask again"


def draw_table(answer: duckdb.DuckDBPyRelation) -> list[str]:
    """The lines of the table as the database draws it, each of them printable.

    A line break in a value is drawn as a backslash and an n.
    """
    return [printable(line) for line in str(answer).removesuffix("\n").split("\n")]


def csv_lines(answer: duckdb.DuckDBPyRelation) -> Iterator[str]:
    """The answer as CSV, as the database writes it; a line of CSV has several lines where a value has."""
    yield ",".join(map(_quote_csv, answer.columns))
    texts = answer.project(", ".join(f"cast({quote_name(name)} as varchar)" for name in answer.columns))
    for row in texts.iter_rows():
        yield ",".join(map(_quote_csv, row))


def _quote_csv(text: str | None) -> str:
    if text is None:
        return ""
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if text == "" or set(text) & set(',"#\r\n') else text


def look_again(look: Callable[[], object]) -> object:
    """Look, and look again where a file was gone between being listed and being read: its record may have moved on."""
    import duckdb

    for _ in range(ATTEMPTS - 1):
        try:
            return look()
        except duckdb.IOException:
            continue
        except duckdb.Error as error:
            raised = RAISED.search(str(error))
            if not raised or raised["kind"] != FileNotFoundError.__name__:
                raise
    return look()


def _published_partitions(settings: Settings, table: Table) -> Iterator[dict[str, Any]]:
    """What the file system and the ledger say of each published partition of a table."""
    entries = read_ledger(settings.warehouse, table.name).entries
    for name, file in folder_of(settings.warehouse, table).published().items():
        try:
            status, file_identity = file.stat(), identity(file)
        except (FileNotFoundError, NotADirectoryError):  # removed meanwhile
            continue
        entry = entries.get(name)
        yield {
            "table": table.name,
            "partition": str(name),
            "day": str(name.day),
            "keys": name.key_values,
            "bytes": status.st_size,
            "published_at": datetime.fromtimestamp(status.st_mtime, UTC).isoformat(),
            "checked_at": entry.checked_at if entry else None,
            "is_current": entry is not None and (entry.version, entry.file) == (table.version, file_identity),
            "file": str(file),
        }


def _read_footers(db: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
    """Read the footers of all files in as few statements as the broken ones among them allow."""
    import duckdb

    def read(some_files: Sequence[str]) -> None:
        db.execute(READ_FOOTERS, [some_files])

    attempt_by_halves(files, read, retry_on=duckdb.Error, give_up=lambda _file, _error: None)
