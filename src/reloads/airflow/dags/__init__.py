"""The DAGs: wiring whose tasks of a few lines call the core. A DAG file imports what stands here."""

from reloads.airflow.dags.building import build_dags, show_broken_tables

__all__ = ["build_dags", "show_broken_tables"]
