"""This environment's Airflow on PostgreSQL in a container: the database is made, and the DAGs are read into it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex

import psycopg2
import pytest
from testcontainers.community.postgres import PostgresContainer

from examples.make_source import make_source
from tests.integration.docker import require_docker
from tests.integration.tables import TABLES
from tests.support.clone import CLONE
from tests.support.command import run_command
from tests.support.tables import lay_out


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of Airflow with a database just made."""
    require_docker()
    home = tmp_path_factory.mktemp("databases")
    lay_out(home, TABLES)
    make_source(home / "source")
    image, password = os.environ.get("POSTGRES_IMAGE", "postgres:17"), token_hex(16)
    with PostgresContainer(image, password=password) as database:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RELOADS_", "AIRFLOW"))}
        environment = inherited | {
            "RELOADS_HOME": str(home),
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(CLONE / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.get_connection_url(),
        }
        _airflow(environment, "db", "migrate")
        yield environment


def _airflow(environment: dict[str, str], *arguments: str) -> str:
    return run_command(sys.executable, "-m", "airflow", *arguments, environment=environment)


def test_a_database_that_was_made_before_is_up_to_date_and_can_be_made_again(airflow: dict[str, str]) -> None:
    _airflow(airflow, "db", "migrate")

    _airflow(airflow, "db", "check-migrations", "--migration-wait-timeout", "0")


def test_every_dag_is_read_into_the_database_without_an_error(airflow: dict[str, str]) -> None:
    _airflow(airflow, "dags", "reserialize")

    connection = psycopg2.connect(airflow["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", ""))
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("select dag_id from serialized_dag join dag using (dag_id) where not is_stale")
        dags = {dag_id for (dag_id,) in cursor.fetchall()}
        cursor.execute("select filename, stacktrace from import_error")
        errors = cursor.fetchall()
    tables = {path.name for path in Path(airflow["RELOADS_HOME"], "tables").iterdir() if path.is_dir()}
    assert dags == {"request_partitions", "reloads_maintain", *(f"rewrite_{table}" for table in tables)}
    assert errors == []
