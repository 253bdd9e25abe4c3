"""The DAGs of one deployment, for a DAG file of three lines.

Airflow takes each DAG for one of the file that it is parsing when the DAG is made, wherever the code stands: so the
place that the user interface shows, and that a task parses again, is the file that calls ``build_dags``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from airflow.sdk import DAG, Asset, get_parsing_context

from reloads.airflow.assets import landing_asset
from reloads.settings import Settings
from reloads.tables.definition import TABLE_NAME, table_names


def build_dags(*, landing: Callable[[Settings], Asset] = landing_asset) -> list[DAG]:
    """Make all DAGs, by the settings of this process's environment; in the process of a task that task's DAG alone.

    ``landing`` makes the asset whose events wake the one that takes requests; default: the drop folder, which the
    doorbell watches. A folder that defines no table makes no DAG and no error; ``show_broken_tables`` names those.
    """
    settings = Settings.from_environment(os.environ)
    builders: dict[str, Callable[[], DAG]] = {settings.names.intake_dag: partial(_build_intake, settings, landing)}
    for table in filter(TABLE_NAME.fullmatch, table_names(settings.tables)):
        builders[settings.names.rewrite_dag(table)] = partial(_build_rewriting, settings, table)
    builders[settings.names.maintain_dag] = partial(_build_maintenance, settings)
    # Each task parses its file in a process of its own, and the one that takes requests imports what watches folders.
    only = get_parsing_context().dag_id
    return [build() for name, build in builders.items() if only in (None, name)]


def _build_intake(settings: Settings, landing: Callable[[Settings], Asset]) -> DAG:
    from reloads.airflow.dags.request_partitions import build_intake

    return build_intake(settings, landing=landing(settings))


def _build_rewriting(settings: Settings, table: str) -> DAG:
    from reloads.airflow.dags.rewrite_partitions import build_rewriting

    return build_rewriting(settings, table)


def _build_maintenance(settings: Settings) -> DAG:
    from reloads.airflow.dags.maintain import build_maintenance

    return build_maintenance(settings)


def show_broken_tables() -> None:
    """Raise an error with a sentence for each broken table: Airflow shows it as an import error of the DAG file.

    A file of its own calls it, as a file with an error has no DAGs.
    """
    from reloads.airflow.kept_check import require_good_tables

    require_good_tables(Settings.from_environment(os.environ), os.environ)
