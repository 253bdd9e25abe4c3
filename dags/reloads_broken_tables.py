"""No DAG: the import error of this file shows in Airflow which tables are broken; the other tables keep working."""

from reloads.airflow.dags import show_broken_tables

show_broken_tables()
