"""The folder of DAG files, as Airflow's DAG processor sees it: it reads them again soon after a table changed.

Airflow alone knows that a DAG file changed, and not that the tables did from which that file makes DAGs. So it would
have to read all of them again every half minute, which takes more of an idle machine than all else together.

Airflow also notes while it reads a file which DAGs are at their limit of runs. A run that ends just then is counted,
and no run of that DAG is begun before its file is read again (3.3.2). So that note is mended at the next look.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.dag_processing.bundles.local import LocalDagBundle

from reloads.settings import Settings
from reloads.tables.folder_digest import digest_tables

ASKED_TIMES = 2
"""Airflow drops what is asked for while it reads that file (3.3.2), so it is asked at the next look, too."""


class TablesBundle(LocalDagBundle):
    """A local folder whose files are read again when anything in the folder of tables changed."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._seen = ""
        self._left_to_ask = 0

    def refresh(self) -> None:
        """Ask for all DAG files where the tables are not what they were at the refresh before."""
        tables = digest_tables(Settings.from_environment(os.environ).tables)
        # A new process reads all files anyway.
        if self._seen and self._seen != tables:
            self._left_to_ask = ASKED_TIMES
        self._seen = tables
        if self._left_to_ask:
            self._ask_for_files()
            self._left_to_ask -= 1
        self._free_dags()

    def _free_dags(self) -> None:
        """Have runs begun of the DAGs that Airflow takes to be at their limit of runs, and that are not."""
        from airflow.models.dag import DagModel
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from airflow.utils.sqlalchemy import with_row_locks
        from airflow.utils.state import DagRunState
        from sqlalchemy import func, select

        active = select(func.count()).select_from(DagRun).where(DagRun.dag_id == DagModel.dag_id)
        active = active.where(DagRun.state.in_((DagRunState.QUEUED, DagRunState.RUNNING)))
        held = select(DagModel).where(DagModel.bundle_name == self.name, DagModel.exceeds_max_non_backfill)
        held = held.where(active.scalar_subquery() < DagModel.max_active_runs)
        with create_session() as session:
            # The scheduler locks those of which it begins a run.
            for dag in session.scalars(with_row_locks(held, of=DagModel, session=session, skip_locked=True)):
                dag.exceeds_max_non_backfill = False

    def _ask_for_files(self) -> None:
        from airflow.models.dagbag import DagPriorityParsingRequest
        from airflow.utils.session import create_session
        from sqlalchemy import select

        asked = select(DagPriorityParsingRequest.relative_fileloc)
        asked = asked.where(DagPriorityParsingRequest.bundle_name == self.name)
        with create_session() as session:
            # Each file once: Airflow keeps what nobody took yet, and refuses a second.
            for name in sorted({file.name for file in self.path.glob("*.py")} - set(session.scalars(asked))):
                session.add(DagPriorityParsingRequest(self.name, name))
