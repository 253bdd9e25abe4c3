"""Types of a snapshot: what was published is what each reader of the Delta table gives back, or the type is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest
from deltalake import DeltaTable

from reloads.errors import TableError
from reloads.inspection.check_tables import check_tables
from reloads.settings import Settings
from reloads.sql import quote_name
from reloads.warehouse.delta_table import bring_snapshot
from reloads.warehouse.delta_types import CURES, PLAIN_TYPES
from tests.support.chain import Chain
from tests.support.sales_home import SalesHome, days, of_each_day

KEPT = {
    "boolean": "n = 1",
    "tinyint": "(-127 - n % 2)::tinyint",
    "smallint": "(-32767 - n % 2)::smallint",
    "integer": "(-2147483647 - n % 2)::integer",
    "bigint": "(-9223372036854775807 - n % 2)::bigint",
    "utinyint": "(256 - n)::utinyint",
    "usmallint": "(65536 - n)::usmallint",
    "uinteger": "(4294967296 - n)::uinteger",
    "float": "(n / 3)::float",
    "double": "(n / 3)::double",
    "varchar": "'é/% ' || n",
    "enum": "(if(n = 1, 'a', 'b'))::enum('a', 'b')",
    "blob": "('\\xFF\\x00' || n)::blob",
    "date": "date '0999-12-31' + n::integer",
    "timestamp": "timestamp '2025-01-01 12:34:56.123456' + to_days(n::integer)",
    "timestamp_s": "(timestamp '1925-01-01 12:34:56' + to_days(n::integer))::timestamp_s",
    "timestamp_ms": "(timestamp '2025-01-01 12:34:56.123' + to_days(n::integer))::timestamp_ms",
    "timestamp with time zone": "timestamptz '2025-03-30 00:59:59.999999+00' + to_hours(n::integer)",
    "small decimal": "(n / 8)::decimal(4, 3)",
    "large decimal": "(n * 12345678901234567890.123)::decimal(38, 3)",
    "list": "[n, null, 3]",
    "list that was an array": "array_value(n, 2, 3)::bigint[]",
    "struct": "{'x': n, 'Y z': 'text', 'w': [1.5::float]}",
    "map": "map {'k' || n: n}",
    "list of structs": "[{'x': n, 'when': date '2025-01-01'}]",
}
REFUSED = {
    "time": "time '12:00'",
    "uuid": "uuid()",
    "json": "'{}'::json",
    "ubigint": "1::ubigint",
    "timestamp_ns": "'2025-01-01'::timestamp_ns",
    "array": "array_value(n, 2, 3)",
    "list of arrays": "[array_value(n, 2, 3)]",
    "list of uuids": "[uuid()]",
    "struct with a time": "{'x': time '12:00'}",
    "map of json": "map {'k': '{}'::json}",
}


def test_each_type_that_a_snapshot_may_have_is_tried() -> None:
    assert PLAIN_TYPES.keys() <= KEPT.keys()
    assert CURES.keys() <= REFUSED.keys()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> SalesHome:
    """A table with a column of each type, which has NULL in every third row."""
    root = tmp_path_factory.mktemp("types")
    columns = ", ".join(f'if(n = 3, null, {cell}) as "{kind.replace(" ", "_")}"' for kind, cell in KEPT.items())
    settings = Settings.from_environment({"RELOADS_HOME": str(root), "RELOADS_TIME_ZONE": "UTC"})
    define(settings, columns)
    sales = SalesHome(settings)
    outcome = sales.rewrite(days("2025-01-01..2025-01-02"))
    assert outcome.failed == ()
    bring_snapshot(sales.folder)
    return sales


def define(settings: Settings, columns: str) -> None:
    folder = settings.tables / "sales"
    folder.mkdir(parents=True)
    settings.warehouse.mkdir(exist_ok=True)
    (settings.tables / "sources.sql").write_text("")
    (folder / "query.sql").write_text(of_each_day(columns))
    (folder / "table.toml").write_text('day_column = "day"\nfirst_day = 2025-01-01\nsnapshots = "delta"\n')


def root_of(home: SalesHome) -> Path:
    return home.warehouse / ".delta" / "sales"


def read_with_pyarrow(home: SalesHome, name: str) -> Sequence[Any]:
    table = DeltaTable(root_of(home)).to_pyarrow_table().sort_by([("day", "ascending"), ("n", "ascending")])
    values: list[Any] = table.column(name).to_pylist()
    return values


def read_with_polars(home: SalesHome, name: str) -> Sequence[Any]:
    return pl.read_delta(str(root_of(home))).sort("day", "n")[name].to_list()


def read_with_pandas(home: SalesHome, name: str) -> Sequence[Any]:
    frame = DeltaTable(root_of(home)).to_pandas(types_mapper=pd.ArrowDtype).sort_values(["day", "n"])
    return [None if is_missing else value for value, is_missing in zip(frame[name], frame[name].isna(), strict=True)]


def read_with_duckdb(home: SalesHome, name: str) -> Sequence[Any]:
    uris = DeltaTable(root_of(home)).file_uris()
    with duckdb.connect(":memory:") as db:
        query = (
            f"select {in_utc(quote_name(name), name)} from read_parquet($1, hive_partitioning = true) order by day, n"
        )
        return [value for (value,) in db.execute(query, [uris]).fetchall()]


def in_utc(cell: str, kind: str) -> str:
    """The cell as DuckDB's package gives it without another package for time zones."""
    return f"{cell} at time zone 'UTC'" if "zone" in kind else cell


def plain(value: Any) -> Any:
    """The value in types of Python alone, the same whichever reader gave it."""
    if isinstance(value, str | bytes) or value is None:
        return value
    if isinstance(value, Mapping):
        return sorted((str(name), plain(each)) for name, each in value.items())
    if hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime()
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def plain_map(value: Any) -> Any:
    """The value of a column of maps, which each reader has in another form."""
    if value is None:
        return None
    pairs = value.items() if isinstance(value, Mapping) else value
    return sorted(tuple(pair.values()) if isinstance(pair, Mapping) else tuple(pair) for pair in pairs)


@pytest.mark.parametrize("read", [read_with_pyarrow, read_with_polars, read_with_pandas, read_with_duckdb])
@pytest.mark.parametrize("kind", KEPT)
def test_each_reader_gives_back_what_was_written(
    home: SalesHome, kind: str, read: Callable[[SalesHome, str], Sequence[Any]]
) -> None:
    name = kind.replace(" ", "_")
    with duckdb.connect(":memory:") as db:
        cell = in_utc(f"if(n = 3, null, {KEPT[kind]})", kind)
        written = db.execute(f"select {cell} from range(1, 4) as numbers(n)").fetchall()
    form = plain_map if kind == "map" else plain
    # For each of the two days.
    assert [form(value) for value in read(home, name)] == [form(value) for (value,) in written] * 2


@pytest.mark.parametrize("kind", REFUSED)
def test_a_type_that_delta_cannot_hold_is_refused_by_check_and_by_a_rewrite(tmp_path: Path, kind: str) -> None:
    settings = Settings.from_environment({"RELOADS_HOME": str(tmp_path), "RELOADS_TIME_ZONE": "UTC"})
    define(settings, f"{REFUSED[kind]} as odd")
    sentence = r"sales/query.sql: the column odd is .*; Delta Lake cannot hold .*; cast it to "
    with pytest.raises(TableError, match=sentence):
        check_tables(settings)
    home = SalesHome(settings)
    [failure] = home.rewrite(days("2025-01-01")).failed
    assert "Delta Lake cannot hold" in failure.error
    assert home.versions() == []


def test_a_type_that_delta_cannot_hold_is_no_matter_for_a_table_without_snapshots(chain: Chain) -> None:
    chain.define("a", "select day, time '12:00' as odd from raw")
    for table in "bcd":
        chain.define(table, "select day, odd from a")
    check_tables(chain.settings)
    settings = chain.settings.model_copy(update={"snapshots": "delta"})
    with pytest.raises(TableError, match="the column odd is TIME"):
        check_tables(settings)
