"""A table of readings as a daily-partitioned asset; a range of days is one run."""

import os
import shutil
from pathlib import Path

import dagster  # type: ignore[import-not-found]
import duckdb

DAYS = dagster.DailyPartitionsDefinition(start_date=os.environ["PEERS_FIRST_DAY"])


@dagster.asset(partitions_def=DAYS, backfill_policy=dagster.BackfillPolicy.single_run())  # type: ignore[untyped-decorator]
def readings(context: dagster.AssetExecutionContext) -> None:
    """Write the days of the run, a folder each."""
    target, query = Path(os.environ["PEERS_TARGET"]), Path(os.environ["PEERS_QUERY"]).read_text()
    days = context.partition_keys
    # DuckDB writes beside what is there, and a day may get fewer files than it has.
    for day in days:
        shutil.rmtree(target / f"reading_date={day}", ignore_errors=True)
    given = {
        "readings": os.environ["PEERS_READINGS"],
        "shift": os.environ["PEERS_SHIFT"],
        "first": days[0],
        "last": days[-1],
    }
    with duckdb.connect() as connection:
        connection.execute(
            f"copy ({query}) to '{target}' (format parquet, partition_by (reading_date), overwrite_or_ignore)", given
        )


definitions = dagster.Definitions(assets=[readings])
