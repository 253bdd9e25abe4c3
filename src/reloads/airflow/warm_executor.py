"""The LocalExecutor whose processes have imported what tasks need before they fork the first one.

Each task is a fork of one of them, and else imports all of it again: that is 0.12 s of the 0.25 s of processor time of
a plan, and as much of a rewrite and of settle (Airflow 3.3.2). So tasks take code that was replaced on disk once the
scheduler starts again. DAG files and tables are read by each task.
"""

from __future__ import annotations

from airflow.executors.local_executor import LocalExecutor


class WarmLocalExecutor(LocalExecutor):
    """Imports, then forks; else it is the LocalExecutor."""

    def start(self) -> None:
        """Begin to take tasks."""
        import_for_tasks()
        super().start()


def import_for_tasks() -> None:
    """Import what the tasks of our DAGs import. No database is opened, and no thread begun, which a fork would lose."""
    import duckdb  # noqa: F401
    import jinja2.ext  # noqa: F401

    import reloads.airflow.dags.request_partitions
    import reloads.airflow.dags.rewrite_partitions
    import reloads.runs.arrivals
    import reloads.runs.plan_step
    import reloads.runs.rewrite_step
    import reloads.runs.settle_step
    import reloads.runs.telling
    import reloads.runs.worker
    import reloads.warehouse.upgrade  # noqa: F401
