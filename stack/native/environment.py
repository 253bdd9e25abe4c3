"""The environment variables of all processes that run here: Airflow's shared settings, and those of this side."""

from __future__ import annotations

import json
from collections.abc import Mapping

from stack.airflow_settings import read_shared_settings
from stack.credentials import Credentials
from stack.loopback import HOST
from stack.native.folders import Folders
from stack.native.ports import Ports

# Somebody's other Airflow, database or Python must not leak into this one; nor make's job server.
FOREIGN = ("AIRFLOW_", "_AIRFLOW_", "PG", "PYTHON", "SUPERVISOR_", "MAKE", "MFLAGS", "SQLALCHEMY_")

WANTED = ("AIRFLOW__METRICS__", "AIRFLOW__OPENLINEAGE__")
"""But where metrics and lineage go is decided by whoever starts the stack."""

REWRITE_POOL = "rewrite"
"""The pool that ``make up`` makes, with a slot for each of RELOADS_TASKS_AT_ONCE rewrites."""

USERS = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"
MORE_USERS = "AIRFLOW_USERS"
"""Further people who may log in, ``name:role``; Airflow makes up their passwords at each start."""

DAG_BUNDLES = json.dumps(
    [{"name": "dags-folder", "classpath": "reloads.airflow.tables_bundle.TablesBundle", "kwargs": {}}]
)
"""Airflow's own bundle of that name, which also knows when a table changed."""

EXECUTOR = "reloads.airflow.warm_executor.WarmLocalExecutor"
"""The LocalExecutor, with what tasks import imported once: it takes 0.12 s of processor time less for each task."""

SPARE_SLOTS = 2
"""For the short tasks that take requests, plan and settle."""


def environment(
    folders: Folders, ports: Ports, credentials: Credentials, *, inherited: Mapping[str, str], cores: int
) -> dict[str, str]:
    """What the processes of the stack, and any command that talks to it, run with.

    ``inherited`` is what the caller runs with: its ``RELOADS_*`` settings and proxies stay in force.
    """
    kept = {name: value for name, value in inherited.items() if name.startswith(WANTED) or not name.startswith(FOREIGN)}
    # The machine is shared by all tasks; in containers SCHEDULER_MEMORY is the limit, and the default does not ask for
    # the machine's cores.
    tasks_at_once = kept.get("RELOADS_TASKS_AT_ONCE") or str(max(4, 2 * cores))
    shared = read_shared_settings()
    users = ",".join(filter(None, [shared[USERS], inherited.get(MORE_USERS)]))
    # Airflow's own processes talk to each other over HTTP and must not ask a proxy for the way.
    direct = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), HOST, "localhost"]))
    return {
        "RELOADS_POOL": REWRITE_POOL,
        **kept,
        # This Airflow is our own, so nobody else has our names.
        "RELOADS_PREFIX": "",
        "RELOADS_TASKS_AT_ONCE": tasks_at_once,
        "RELOADS_HOME": str(folders.home),
        "TMPDIR": str(folders.local / "tmp"),
        "XDG_CACHE_HOME": str(folders.local / "cache"),
        "NO_PROXY": direct,
        "no_proxy": direct,
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        # The DAG file imports the package `sensors` of the clone.
        "PYTHONPATH": str(folders.clone),
        # Titles that processes give themselves would overwrite the variables by which `down` knows them.
        "SPT_NOENV": "1",
        "AIRFLOW_HOME": str(folders.airflow),
        **shared,
        USERS: users,
        "AIRFLOW__CORE__EXECUTOR": EXECUTOR,
        # The rewrites have a pool of their own, so that a dropped file is taken however many there are.
        "AIRFLOW__CORE__PARALLELISM": str(int(tasks_at_once) + SPARE_SLOTS),
        **_addresses(ports, credentials),
        **_folders(folders),
        "AIRFLOW__CORE__FERNET_KEY": credentials.fernet_key,
        "AIRFLOW__API__SECRET_KEY": credentials.api_secret_key,
        "AIRFLOW__API_AUTH__JWT_SECRET": credentials.jwt_secret,
    }


def database_url(ports: Ports, credentials: Credentials, *, driver: str = "") -> str:
    """How a client reaches the database; ``driver`` as SQLAlchemy writes it, ``+psycopg2``."""
    return f"postgresql{driver}://airflow:{credentials.database}@{HOST}:{ports.database}/airflow"


def api_url(ports: Ports) -> str:
    """Where the user interface and the REST API are."""
    return f"http://{HOST}:{ports.api}"


def _addresses(ports: Ports, credentials: Credentials) -> dict[str, str]:
    return {
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(ports.api),
        "AIRFLOW__API__BASE_URL": api_url(ports),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{api_url(ports)}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url(ports, credentials, driver="+psycopg2"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database_url(ports, credentials, driver="+asyncpg"),
    }


def _folders(folders: Folders) -> dict[str, str]:
    logs = folders.airflow / "logs"
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(folders.clone / "dags"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": DAG_BUNDLES,
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(folders.clone / "stack" / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folders.airflow / "passwords.json"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(folders.airflow / "bundles"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(logs),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(logs / "dag_processor"),
    }
