"""What a batch read and wrote stands in the log, and is told with nothing left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from reloads.batch import Batch
from reloads.days import Days
from reloads.outcome import Outcome
from reloads.runs.batch_lineage import BatchLineage, describe_batch
from reloads.runs.rewrite_step import run_batch
from reloads.tables.catalog import Catalog
from tests.support.chain import NOW, Chain
from tests.support.raw_bucket import RawBucket
from tests.support.s3_server import BUCKET, S3Server

WEEK = Days.parse(["2025-01-09..2025-01-11"])


def rewritten(chain: Chain, table: str, days: Days = WEEK, *, run: str = "run/1") -> BatchLineage:
    """Rewrite these days in a run of their own, and describe it."""
    batch = Batch(days)
    outcome = run_batch(chain.settings, table, batch.to_json(), run=run, now=NOW)
    return described(chain, table, batch, outcome, run=run)


def described(chain: Chain, table: str, batch: Batch, outcome: Outcome, *, run: str) -> BatchLineage:
    catalog = Catalog.load(chain.settings.tables)
    return describe_batch(chain.settings, catalog, catalog[table], batch, outcome, run=run)


def day_texts(partitions: tuple[object, ...]) -> list[str]:
    return [str(each["day"]) for each in partitions if isinstance(each, dict)]


def test_the_partitions_that_changed_are_written_with_rows_bytes_and_columns(chain: Chain) -> None:
    lineage = rewritten(chain, "a")
    assert lineage.output == str(chain.settings.warehouse / "a")
    assert day_texts(lineage.written) == ["2025-01-09", "2025-01-10", "2025-01-11"]
    files = list((chain.settings.warehouse / "a").glob("*/data.parquet"))
    assert (lineage.rows, lineage.files, lineage.bytes) == (3, 3, sum(file.stat().st_size for file in files))
    assert lineage.columns == {"day": "DATE", "amount": "INTEGER"}


def test_what_came_out_the_same_is_not_written(chain: Chain) -> None:
    rewritten(chain, "a")
    chain.deliver("2025-01-10", 99)
    assert day_texts(rewritten(chain, "a", run="run/2").written) == ["2025-01-10"]


def test_the_days_of_the_window_that_are_there_are_read(chain: Chain) -> None:
    rewritten(chain, "a", Days.parse(["2025-01-05..2025-01-11"]))
    lineage = rewritten(chain, "c", Days.parse(["2025-01-09"]), run="run/2")
    [(folder, partitions)] = lineage.read.items()
    assert folder == str(chain.settings.warehouse / "a")
    assert day_texts(partitions) == [f"2025-01-{n:02}" for n in range(5, 10)]


def test_partitions_of_a_table_with_keys_have_all_their_columns(chain: Chain) -> None:
    chain.define("a", "select day, amount, unnest(['x', 'y']) as origin from raw", 'keys = ["origin"]')
    lineage = rewritten(chain, "a", Days.parse(["2025-01-09"]))
    assert lineage.written == ({"day": "2025-01-09", "origin": "x"}, {"day": "2025-01-09", "origin": "y"})
    assert lineage.columns["origin"] == "VARCHAR"


def test_a_batch_that_published_nothing_wrote_nothing(chain: Chain) -> None:
    lineage = described(chain, "a", Batch(WEEK), Outcome(), run="run/1")
    assert (lineage.written, lineage.rows, lineage.files, lineage.checks) == ((), 0, 0, ())


def test_each_check_is_told_whether_it_objects_or_not(chain: Chain) -> None:
    chain.define("a", "select day, amount from raw", '[checks.odd]\nseverity = "warn"')
    (chain.settings.tables / "a" / "checks.sql").write_text(
        "create view odd as select day, amount as found from new where amount % 2 = 1;\n"
        "create view negative as select day from new where amount < 0;\n"
    )
    checks = {each.check: each for each in rewritten(chain, "a").checks}
    assert (checks["odd"].severity, checks["odd"].violations, checks["odd"].result is None) == ("warn", 2, False)
    assert (checks["negative"].severity, checks["negative"].violations, checks["negative"].result) == ("error", 0, None)


def test_raw_files_that_a_source_names_are_read(chain: Chain) -> None:
    (chain.settings.tables / "sources.toml").write_text('[amounts]\nfiles = "{day}.csv"\n')
    (chain.settings.tables / "sources.sql").write_text(
        "create view raw as from read_csv(getvariable('amounts'), columns = {'day': 'date', 'amount': 'int'})"
    )
    # Written a moment ago, and taken for complete.
    rested = replace(chain, settings=chain.settings.model_copy(update={"stable_seconds": 0.0}))
    lineage = rewritten(rested, "a")
    assert lineage.raw_files == tuple(str(chain.settings.source / f"{day}.csv") for day in WEEK)


def test_what_lies_in_a_bucket_is_named_by_its_url(tmp_path: Path, s3: S3Server) -> None:
    assert s3.endpoint
    raw = RawBucket()
    raw.put(*(f"{day}.csv" for day in WEEK), text="day,amount\n2025-01-09,1\n2025-01-10,2\n2025-01-11,3\n")
    url = f"s3://{BUCKET}/{uuid4().hex}"
    chain = Chain.at(tmp_path, warehouse=url)
    chain = replace(chain, settings=chain.settings.model_copy(update={"source": raw.folder}))
    (chain.settings.tables / "sources.toml").write_text('[amounts]\nfiles = "{day}.csv"\n')
    (chain.settings.tables / "sources.sql").write_text(
        "create view raw as select distinct on (day) * from read_csv(getvariable('amounts'))"
    )
    lineage = rewritten(chain, "a")
    assert (lineage.output, lineage.source) == (f"{url}/a", raw.url)
    assert lineage.raw_files == tuple(f"{raw.url}/{day}.csv" for day in WEEK)
    assert list(rewritten(chain, "b", run="run/2").read) == [f"{url}/a"]
