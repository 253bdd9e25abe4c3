"""The LocalExecutor whose processes have imported what tasks need before they fork the first one.

Each task is a fork of one of them, and else imports all of it again: that is 0.12 s of the 0.25 s of processor time of
a plan, and as much of a rewrite and of settle (Airflow 3.3.2). So tasks take code that was replaced on disk once the
scheduler starts again.

They have parsed the tables, too, which takes 0.4 s where there are 200. Tasks read DAG files and tables again, and
parse those that changed since.
"""

from __future__ import annotations

import os
from contextlib import suppress

from airflow.executors.local_executor import LocalExecutor


class WarmLocalExecutor(LocalExecutor):
    """Imports, then forks; else it is the LocalExecutor."""

    def start(self) -> None:
        """Begin to take tasks."""
        prepare_for_tasks()
        super().start()


def prepare_for_tasks() -> None:
    """Import what the tasks of our DAGs import, and parse the tables. No thread is begun, which a fork would lose."""
    import duckdb  # noqa: F401
    import jinja2.ext  # noqa: F401

    import reloads.airflow.dags.request_partitions
    import reloads.airflow.dags.rewrite_partitions
    import reloads.runs.arrivals
    import reloads.runs.small_run
    import reloads.runs.telling
    import reloads.runs.worker
    import reloads.warehouse.upgrade  # noqa: F401
    from reloads.errors import ReloadsError
    from reloads.settings import Settings
    from reloads.tables.catalog import Catalog

    # Whoever needs the tables says what is wrong with them.
    with suppress(ReloadsError, OSError):
        Catalog.load(Settings.from_environment(os.environ).tables)
