"""A history to undo: loaded tables, requests that replace some of it, and what is published before and after."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import count
from typing import Any

import duckdb
import pytest

from reloads.days import Days
from reloads.planning.staleness import TableState
from reloads.requests.record import Record
from reloads.runs.undo import undo_request
from reloads.tables.definition import Table, load_table
from reloads.tables.raw_files import RawFiles
from reloads.warehouse.partitions import TableFolder, folder_of
from tests.support.chain import NOW, Chain

DAYS = Days.between(date(2025, 1, 1), date(2025, 1, 4))
AMOUNTS = "select day, amount from raw"
SHOPS = "select day, amount // 100 as shop, amount from raw where amount > 0"
CORRECTED = ("day=2025-01-02", "day=2025-01-03")
A_LATER_MOMENT = (NOW + timedelta(seconds=seconds) for seconds in count(1))

File = tuple[int, int, bytes]


@pytest.fixture
def loaded(chain: Chain) -> Chain:
    """Four days of ``a``, and of ``shops``, which has keys; a day's amount is its number, and its shop 0."""
    chain.define("shops", SHOPS, 'keys = ["shop"]')
    for table in ("a", "shops"):
        reload(chain, table, "2025-01-01", "2025-01-04")
    return chain


def reload(chain: Chain, table: str, first: str, last: str | None = None, **more: Any) -> Record:
    """Ask and rewrite; the tables that read this one are left alone."""
    record = chain.ask(table, first, last, cascade=False, **more)
    chain.run(table)
    return chain.find_record(record.id)[1]


def deliver(chain: Chain, day: str, *amounts: int) -> None:
    lines = [f"{day},{amount}" for amount in amounts]
    (chain.settings.source / f"{day}.csv").write_text("\n".join(["day,amount", *lines]) + "\n")


def corrected(chain: Chain, table: str = "a") -> Record:
    """A request that replaces the second and third of January, after both changed at the source."""
    deliver(chain, "2025-01-02", 120)
    deliver(chain, "2025-01-03", 130)
    return reload(chain, table, "2025-01-01", "2025-01-04")


def tried_again(chain: Chain, day: str, *tries: int) -> Record:
    """A request for the day of ``a`` whose batch was tried several times, each time with another amount."""
    record = chain.ask("a", day, cascade=False)
    batches = chain.plan("a")
    for amount in tries:
        deliver(chain, day, amount)
        outcomes = chain.rewrite("a", batches, run="run")
    chain.settle("a", batches, outcomes)
    return chain.find_record(record.id)[1]


def undone(chain: Chain, request: Record | str, *, force: bool = False) -> Record:
    request_id = request if isinstance(request, str) else request.id
    [record] = undo_request(chain.settings, request_id, force=force, now=next(A_LATER_MOMENT), by="ann")
    return record


def the_table(chain: Chain, name: str) -> Table:
    return load_table(chain.settings.tables, name)


def folder(chain: Chain, name: str) -> TableFolder:
    return folder_of(chain.settings.warehouse, the_table(chain, name))


def published(chain: Chain, name: str = "a") -> dict[str, File]:
    """Inode, time and content of each file below the table's folder."""
    root = chain.settings.warehouse / name
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        str(path.parent.relative_to(root)): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in files
    }


def folders(chain: Chain, name: str) -> list[str]:
    root = chain.settings.warehouse / name
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir())


def whys(chain: Chain, name: str = "a") -> dict[str, str | None]:
    """Why each day is to be rewritten, if it is."""
    raw = RawFiles.look(chain.settings)
    look = TableState.at(the_table(chain, name), DAYS, warehouse=chain.settings.warehouse, inputs={}, raw=raw)
    return {str(day): why for day in DAYS if (why := look.why(day))}


def amounts(chain: Chain, name: str = "a", *, columns: str = "*") -> list[tuple[Any, ...]]:
    """The published rows, as any reader sees them."""
    files = str(chain.settings.warehouse / name / "**" / "*.parquet")
    with duckdb.connect(":memory:") as db:
        read = "read_parquet($1, hive_partitioning = true, union_by_name = true)"
        query = f"select {columns} from {read} order by all"
        return db.execute(query, [files]).fetchall()
