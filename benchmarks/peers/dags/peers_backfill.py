"""
# One run a day

A peer of the benchmark: a daily DAG whose run copies the day of its data interval, for `airflow backfill create`.
It ends with the days of the benchmark, so that the scheduler starts no run of its own.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import CronDataIntervalTimetable, dag, task


@dag(
    dag_id="peers_backfill",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime.fromisoformat(os.environ.get("PEERS_FIRST_DAY", "2025-01-01")).replace(tzinfo=UTC),
    end_date=datetime.fromisoformat(os.environ.get("PEERS_LAST_DAY", "2025-01-14")).replace(tzinfo=UTC),
    catchup=False,
    doc_md=__doc__,
)
def peers_backfill():
    """A day a run."""

    @task
    def copy_day(data_interval_start=None):
        import duckdb

        day = data_interval_start.to_date_string()
        query = Path(os.environ["PEERS_QUERY"]).read_text()
        folder = Path(os.environ["PEERS_TARGET"], "peers_backfill", f"reading_date={day}")
        folder.mkdir(parents=True, exist_ok=True)
        given = {
            "readings": os.environ["PEERS_READINGS"],
            "shift": os.environ["PEERS_SHIFT"],
            "first": day,
            "last": day,
        }
        duckdb.execute(f"copy ({query}) to '{folder}/data_0.parquet' (format parquet)", given)

    copy_day()


peers_backfill()
