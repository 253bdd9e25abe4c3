"""What Airflow itself takes for a run that does nothing: two tasks, one after the other."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, task

with DAG("empty_tasks", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC), catchup=False) as dag:

    @task
    def first() -> None:
        """Do nothing."""

    @task
    def second() -> None:
        """Do nothing either."""

    first() >> second()
