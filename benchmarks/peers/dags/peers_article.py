"""
# One virtual environment a day

A peer of the benchmark: `plan` lists the days, and a mapped `@task.virtualenv` copies each of them with a DuckDB of
its own.

Example: `{"start_date": "2025-01-01", "end_date": "2025-01-14"}`
"""

import os
from datetime import date, timedelta

from airflow.sdk import dag, task


@dag(dag_id="peers_article", schedule=None, doc_md=__doc__)
def peers_article():
    """A day a virtualenv task."""

    @task
    def plan(dag_run=None):
        first, last = (date.fromisoformat(dag_run.conf[name]) for name in ("start_date", "end_date"))
        return [str(first + timedelta(days=number)) for number in range((last - first).days + 1)]

    @task.virtualenv(
        requirements=["duckdb==2.0.0"],
        system_site_packages=False,
        expect_airflow=False,
        venv_cache_path=os.environ.get("PEERS_VENVS"),
    )
    def copy_day(day):
        import os
        from pathlib import Path

        import duckdb

        query = Path(os.environ["PEERS_QUERY"]).read_text()
        folder = Path(os.environ["PEERS_TARGET"], "peers_article", f"reading_date={day}")
        folder.mkdir(parents=True, exist_ok=True)
        given = {
            "readings": os.environ["PEERS_READINGS"],
            "shift": os.environ["PEERS_SHIFT"],
            "first": day,
            "last": day,
        }
        duckdb.execute(f"copy ({query}) to '{folder}/data_0.parquet' (format parquet)", given)

    copy_day.expand(day=plan())


peers_article()
