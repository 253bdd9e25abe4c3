"""The DAGs of one deployment, for a DAG file of three lines.

Airflow takes each DAG for one of the file that it is parsing when the DAG is made, wherever the code stands: so the
place that the user interface shows, and that a task parses again, is the file that calls ``build_dags``.
"""

from __future__ import annotations

import os

from airflow.sdk import DAG, Asset

from reloads.airflow.assets import landing_asset
from reloads.airflow.dags.maintain import build_maintenance
from reloads.airflow.dags.request_partitions import build_intake
from reloads.airflow.dags.rewrite_partitions import build_rewriting
from reloads.settings import Settings
from reloads.tables.definition import TABLE_NAME, table_names


def build_dags(*, landing: Asset | None = None) -> list[DAG]:
    """Make all DAGs, by the settings of this process's environment.

    ``landing`` is the asset whose events wake the one that takes requests; default: the drop folder, which the doorbell
    watches. A folder that defines no table makes no DAG and no error; ``show_broken_tables`` names those.
    """
    settings = Settings.from_environment(os.environ)
    names = filter(TABLE_NAME.fullmatch, table_names(settings.tables))
    return [
        build_intake(settings, landing=landing or landing_asset(settings)),
        *(build_rewriting(settings, name) for name in names),
        build_maintenance(settings),
    ]


def show_broken_tables() -> None:
    """Raise an error with a sentence for each broken table: Airflow shows it as an import error of the DAG file.

    A file of its own calls it, as a file with an error has no DAGs.
    """
    from reloads.inspection.check_tables import check_tables

    check_tables(Settings.from_environment(os.environ))
