"""The DAGs of the pipeline. Airflow opens only files that hold both words, "airflow" and "dag"."""

from reloads.airflow.dags import build_dags
from sensors.landing import make_landing

build_dags(landing=make_landing)
