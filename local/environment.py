"""The environment variables of all processes of a stack: the one place where Airflow is configured."""

from __future__ import annotations

from collections.abc import Mapping

from local.folders import Folders
from local.passwords import Passwords
from local.ports import HOST, Ports

USER = "admin"
# Somebody's other Airflow, database or Python must not leak into this one; nor make's job server.
FOREIGN = ("AIRFLOW_", "_AIRFLOW_", "PG", "PYTHON", "SUPERVISOR_", "MAKE", "MFLAGS", "SQLALCHEMY_")


def environment(
    folders: Folders, ports: Ports, passwords: Passwords, *, inherited: Mapping[str, str], cores: int
) -> dict[str, str]:
    """What the processes of the stack, and any command that talks to it, run with.

    ``inherited`` is what the caller runs with: its ``RELOADS_*`` settings and proxies stay in force.
    """
    kept = {name: value for name, value in inherited.items() if not name.startswith(FOREIGN)}
    parallelism = str(max(4, 2 * cores))
    # Airflow's own processes talk to each other over HTTP and must not ask a proxy for the way.
    direct = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), HOST, "localhost"]))
    return {
        "RELOADS_TASKS_AT_ONCE": parallelism,
        **kept,
        "RELOADS_HOME": str(folders.home),
        "TMPDIR": str(folders.local / "tmp"),
        "XDG_CACHE_HOME": str(folders.local / "cache"),
        "NO_PROXY": direct,
        "no_proxy": direct,
        "PYTHONUTF8": "1",
        "PYTHONPATH": str(folders.clone),  # the DAG files import sensors/, which lies beside them
        "PYTHONUNBUFFERED": "1",
        # Titles that processes give themselves would overwrite the variables by which `down` knows them.
        "SPT_NOENV": "1",
        "AIRFLOW_HOME": str(folders.airflow),
        **{
            f"AIRFLOW__{section}__{name}".upper(): value
            for section, options in _options(folders, ports, passwords, parallelism=parallelism).items()
            for name, value in options.items()
        },
    }


def database_url(ports: Ports, passwords: Passwords, *, driver: str = "") -> str:
    """How a client reaches the database; ``driver`` as SQLAlchemy writes it, ``+psycopg2``."""
    return f"postgresql{driver}://airflow:{passwords.database}@{HOST}:{ports.database}/airflow"


def api_url(ports: Ports) -> str:
    """Where the user interface and the REST API are."""
    return f"http://{HOST}:{ports.api}"


def _options(folders: Folders, ports: Ports, passwords: Passwords, *, parallelism: str) -> dict[str, dict[str, str]]:
    return {
        "core": {
            "dags_folder": str(folders.clone / "dags"),
            "executor": "LocalExecutor",
            "parallelism": parallelism,
            "load_examples": "False",
            "dags_are_paused_at_creation": "False",
            # An import error in the user interface is then the sentence and nothing else.
            "dagbag_import_error_tracebacks": "False",
            "min_serialized_dag_update_interval": "5",
            "fernet_key": passwords.fernet_key,
            "execution_api_server_url": f"{api_url(ports)}/execution/",
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": str(folders.airflow / "passwords.json"),
            # The default asks the name server who this machine is, which can take seconds or go out to the network.
            "hostname_callable": "socket.gethostname",
        },
        "database": {
            "sql_alchemy_conn": database_url(ports, passwords, driver="+psycopg2"),
            "sql_alchemy_conn_async": database_url(ports, passwords, driver="+asyncpg"),
        },
        "api": {
            "host": HOST,
            "port": str(ports.api),
            "base_url": api_url(ports),
            "secret_key": passwords.api_secret_key,
            "workers": "1",
            "expose_config": "False",
        },
        "api_auth": {"jwt_secret": passwords.jwt_secret},
        "scheduler": {
            # Each hop of an event waits for the next loop: half of this on average.
            "scheduler_idle_sleep_time": "0.25",
            # A task that a killed scheduler left is taken up again after these seconds, not after five minutes.
            "orphaned_tasks_check_interval": "15",
            "scheduler_health_check_threshold": "20",
            "task_instance_heartbeat_timeout": "60",
            "enable_health_check": "False",
        },
        # A task's process that is not gone yet when its pipes close keeps its slot for this long (Airflow 3.3.2).
        "workers": {"min_heartbeat_interval": "1"},
        "triggerer": {"triggerer_health_check_threshold": "20"},
        "dag_processor": {
            # A new table is in the user interface after these seconds.
            "min_file_process_interval": "20",
            "refresh_interval": "20",
            "dag_bundle_storage_path": str(folders.airflow / "bundles"),
        },
        "logging": {
            "base_log_folder": str(folders.airflow / "logs"),
            "dag_processor_child_process_log_directory": str(folders.airflow / "logs" / "dag_processor"),
            # Into the bounded log of the process instead of files that nobody removes.
            "dag_processor_log_target": "stdout",
            "colored_console_log": "False",
        },
    }
