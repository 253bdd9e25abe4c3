"""What docker-compose.yaml says; the services themselves are tried in tests/integration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reloads.settings import Settings
from stack.airflow_settings import read_shared_settings

CLONE = Path(__file__).resolve().parents[4]
COMPOSE = (CLONE / "docker-compose.yaml").read_text()


def common() -> str:
    """What all services of Airflow have."""
    match = re.search(r"^x-airflow: .*?(?=^x-health:)", COMPOSE, re.MULTILINE | re.DOTALL)
    assert match
    return match[0]


def service(name: str) -> str:
    [text] = re.findall(rf"^  {name}:\n(?:    .*\n)+", COMPOSE, re.MULTILINE)
    return str(text)


def names() -> list[str]:
    """The services."""
    services = COMPOSE.partition("\nservices:\n")[2].partition("\nnetworks:\n")[0]
    return re.findall(r"^  ([a-z-]+):\n", services, re.MULTILINE)


def test_no_service_of_airflow_starts_without_a_look_at_its_clock() -> None:
    others = re.findall(r"^  ([a-z-]+):\n(?:    .*\n)*?    entrypoint:", COMPOSE, re.MULTILINE)

    assert "entrypoint: [python, /opt/containers/clock.py]" in common()
    # Neither lasts, and neither dates anything.
    assert others == ["migrate", "sample"]


def test_every_service_of_airflow_gives_up_a_connection_that_was_cut_within_half_a_minute() -> None:
    own = {name: int(value) for name, value in re.findall(r"^    net\.ipv4\.tcp_(\w+): (\d+)$", common(), re.MULTILINE)}

    silent = own["keepalive_time"] + own["keepalive_probes"] * own["keepalive_intvl"]
    # Linux waits 0.2 s for an answer, and each time twice as long.
    unanswered = sum(0.2 * 2**number for number in range(own["retries2"] + 1))
    assert max(silent, unanswered) <= 30
    assert "sysctls" not in COMPOSE.replace(common(), "")


@pytest.mark.parametrize("name", ["worker", "edge-worker"])
def test_a_worker_is_like_any_service_of_airflow(name: str) -> None:
    [worker] = re.findall(r"^x-worker: .*\n(?:  .*\n)+", COMPOSE, re.MULTILINE)
    assert "<<: *airflow" in worker
    assert "<<: *worker" in service(name)


def test_a_worker_is_not_told_what_it_does_not_need() -> None:
    shared = re.findall(r"^x-(?:common|worker-environment): .*\n(?:  .*\n)+", COMPOSE, re.MULTILINE)
    secrets = set(re.findall(r"\${(\w*(?:PASSWORD|SECRET|KEY)\w*)", "".join(shared)))

    assert len(shared) == 2
    # By it the API server proves that it may read a log.
    assert secrets == {"API_SECRET_KEY"}


def test_only_the_scheduler_and_its_workers_reach_the_queue() -> None:
    assert [name for name in names() if "*celery" in service(name)] == ["scheduler", "worker"]


def test_only_the_edge_worker_asks_by_http() -> None:
    assert [name for name in names() if "AIRFLOW__EDGE__API_URL" in service(name)] == ["edge-worker"]
    assert "postgres" not in service("edge-worker")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_reaches_the_containers(name: str) -> None:
    assert re.search(rf"^  RELOADS_{name.upper()}: ", COMPOSE, re.MULTILINE)


def test_every_service_of_airflow_has_the_shared_settings_and_none_says_them_again() -> None:
    own = "[stack/airflow.env, {path: .local/store.env, required: false}]"
    assert f"env_file: {own}" in common()
    assert re.findall(r"^ +env_file: (.*)$", COMPOSE, re.MULTILINE) == [own, "[]"]
    assert "env_file: []" in service("sample")
    assert [name for name in read_shared_settings() if name in COMPOSE] == []


@pytest.mark.parametrize(
    "name",
    ["ADMIN_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "API_SECRET_KEY", "JWT_SECRET", "FERNET_KEY"],
)
def test_without_a_secret_the_stack_refuses_to_start_and_names_the_command(name: str) -> None:
    assert f"${{{name}:?run `make env` first" in COMPOSE


def test_without_a_user_the_stack_refuses_to_start_and_names_the_command() -> None:
    assert "${AIRFLOW_UID:?run `make env` first" in COMPOSE


def test_no_secret_has_a_default() -> None:
    assert not re.findall(r"\${\w*(?:PASSWORD|SECRET|KEY)\w*:?-", COMPOSE)


@pytest.mark.parametrize("name", ["scheduler", "dag-processor"])
def test_whoever_reads_dag_files_can_import_the_sensors_of_the_clone(name: str) -> None:
    assert "*dag-environment" in service(name)
    assert re.search(r"\*dags\b.*\n?.*\*sensors\b", service(name))
    assert "source: ./sensors, target: /opt/reloads/sensors, read_only: true" in COMPOSE
    assert "PYTHONPATH: /opt/reloads\n" in COMPOSE


def test_the_doorbell_sees_the_raw_files_and_the_tables_and_can_leave_a_note_in_the_drop_folder() -> None:
    mounts = service("triggerer")
    assert {"*tables", "*source"} <= set(re.findall(r"- (\*\w+)", mounts))
    [landing] = re.findall(r".*target: /opt/reloads/landing.*", mounts)
    assert "read_only" not in landing


def test_the_api_server_shows_tables_and_source_and_may_ask_and_undo() -> None:
    mounts = service("api-server")
    assert {"*tables", "*source"} <= set(re.findall(r"- (\*\w+)", mounts))
    for folder in ("landing", "warehouse"):
        [mount] = re.findall(rf".*target: /opt/reloads/{folder}.*", mounts)
        assert mount in service("scheduler")
        assert "read_only" not in mount


def test_the_sample_is_laid_out_in_the_folder_of_the_clone_and_nowhere_else() -> None:
    writable = re.findall(r"source: ([^,]+), target: [^,]+, bind", service("sample"))

    assert writable == ["./.local/source"]
    assert "profiles: [sample]" in service("sample")
    assert "*environment" not in service("sample")


def test_only_the_service_that_sends_messages_knows_where_to() -> None:
    assert [name for name in names() if "*messages" in service(name)] == ["api-server"]
    assert "networks: [inside, outside]" in service("api-server")
