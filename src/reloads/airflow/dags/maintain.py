"""
### Keep the folders small

Once a week this DAG moves requests that were done long ago from `landing/done/` into
`landing/done/archive/YYYY-MM.jsonl`, one line each. Nothing is deleted: a line put back into `landing/` as a `.json`
file asks again.

It also removes replaced partitions whose `history_days` are over (the next run of their table does that, too), dropped
tables whose time is over, and hidden files of killed processes, a day after they were written.

*Trigger* with another number of days archives more, or less.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronTriggerTimetable, Param, task

from reloads.airflow.tasks import plain_errors, retry_arguments
from reloads.settings import Settings


def build_maintenance(settings: Settings) -> DAG:
    """The DAG that keeps the folders small."""
    with DAG(
        settings.names.maintain_dag,
        doc_md=__doc__,
        description="Archive the requests that were done long ago",
        schedule=CronTriggerTimetable("30 4 * * 0", timezone=settings.time_zone),
        start_date=datetime(2024, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        tags=["reloads"],
        default_args=retry_arguments(settings),
        params={"older_than_days": Param(90, type="integer", minimum=7, title="Done more than so many days ago")},
    ) as dag:

        @task
        def archive(*, params=None, **context):
            """Move old requests into the archive of their month."""
            from reloads.requests.archive import archive_done
            from reloads.requests.queue import Queue

            days = params["older_than_days"]
            with plain_errors():
                return archive_done(Queue(settings.landing), now=datetime.now(UTC), older_than_days=days)

        @task
        def expire(**context):
            """Remove replaced partitions whose time is over, and what killed processes left."""
            from reloads.runs.drop_table import remove_dropped
            from reloads.runs.retention import (
                remove_expired,
                remove_left_uploads,
                remove_old_snapshots,
                remove_unfinished,
            )
            from reloads.warehouse.upgrade import open_catalog

            now = datetime.now(UTC)
            with plain_errors():
                catalog = open_catalog(settings)
                expired = sum(remove_expired(settings, catalog, table, now=now) for table in catalog.tables.values())
                for table in catalog.tables.values():
                    expired += remove_old_snapshots(settings, table) + remove_left_uploads(settings, table, now=now)
                return expired + remove_dropped(settings, now=now) + remove_unfinished(settings, now=now)

        archive()
        expire()
    return dag
