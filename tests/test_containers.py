"""Rules of `containers`, the run in containers; the containers themselves are tried in tests/integration."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import clock
import login_first
import pytest

from containers.errors import StackError
from containers.folders import prepare
from containers.readiness import await_dags
from containers.secrets_file import VALUES, complete, owner
from reloads.settings import Settings

CLONE = Path(__file__).resolve().parent.parent
COMPOSE = (CLONE / "docker-compose.yaml").read_text()


def read(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE))


# secrets_file


def test_a_new_file_holds_every_variable_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    added = complete(tmp_path / ".env", {})

    assert added == list(VALUES)
    assert read(tmp_path / ".env").keys() == VALUES.keys()
    assert all(read(tmp_path / ".env").values())
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_a_complete_file_stays_as_it_is_to_the_byte(tmp_path: Path) -> None:
    complete(tmp_path / ".env", {})
    before = (tmp_path / ".env").read_bytes(), (tmp_path / ".env").stat().st_mtime_ns

    assert complete(tmp_path / ".env", {}) == []
    assert ((tmp_path / ".env").read_bytes(), (tmp_path / ".env").stat().st_mtime_ns) == before


def test_what_is_missing_is_added_behind_what_is_there(tmp_path: Path) -> None:
    mine = "# mine\nexport ADMIN_PASSWORD=chosen\n HISTORY_DAYS = 7\nAIRFLOW_PORT="
    (tmp_path / ".env").write_text(mine)

    added = complete(tmp_path / ".env", {})

    text = (tmp_path / ".env").read_text()
    assert text.startswith(f"{mine}\n")
    assert set(added) == VALUES.keys() - {"ADMIN_PASSWORD", "HISTORY_DAYS", "AIRFLOW_PORT"}
    assert all(len(re.findall(rf"^.*\b{name}\s*=", text, re.MULTILINE)) == 1 for name in VALUES)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_a_variable_in_a_comment_counts_as_missing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# JWT_SECRET=old\n")

    assert "JWT_SECRET" in complete(tmp_path / ".env", {})


def test_two_deployments_share_no_password_and_no_key(tmp_path: Path) -> None:
    complete(tmp_path / "a", {})
    complete(tmp_path / "b", {})

    a, b = read(tmp_path / "a"), read(tmp_path / "b")
    secret = [name for name in VALUES if name.endswith(("PASSWORD", "SECRET", "KEY"))]
    assert len(secret) == 5
    assert all(a[name] != b[name] and len(a[name]) >= 16 for name in secret)


@pytest.mark.parametrize("environment", [{}, {"SUDO_UID": "0"}, {"SUDO_UID": "1234"}])
def test_the_containers_never_run_as_root(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)

    assert owner(environment) == int(environment.get("SUDO_UID", 0)) or 50_000


def test_the_containers_run_as_whoever_starts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1001)

    assert owner({}) == 1001


# folders


def scheduler(uid: int, *folders: Path, read_only: bool = False) -> dict[str, object]:
    mounts = [{"type": "bind", "source": str(folder), "read_only": read_only} for folder in folders]
    return {"user": f"{uid}:0", "volumes": [{"type": "volume", "source": "logs"}, *mounts]}


def test_folders_that_are_missing_are_made(tmp_path: Path) -> None:
    prepare(scheduler(os.geteuid(), tmp_path / "a" / "landing", tmp_path / "warehouse"))

    assert (tmp_path / "a" / "landing").is_dir()
    assert (tmp_path / "warehouse").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_made_in_a_folder_that_is_written_goes_to_the_containers_user(tmp_path: Path) -> None:
    (tmp_path / "landing" / "done").mkdir(parents=True)
    (tmp_path / "landing" / "done" / "a.json").touch()
    os.chown(tmp_path / "landing" / "done" / "a.json", 1234, -1)
    # Whoever is in group 0 may write the folder of root otherwise.
    (tmp_path / "landing").chmod(0o755)

    prepare(scheduler(4321, tmp_path / "landing"))

    assert [(tmp_path / name).stat().st_uid for name in ("landing", "landing/done")] == [4321, 4321]
    assert (tmp_path / "landing" / "done" / "a.json").stat().st_uid == 1234


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_that_is_only_read_keeps_its_owner(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()

    prepare(scheduler(4321, tmp_path / "tables", read_only=True))

    assert (tmp_path / "tables").stat().st_uid == os.geteuid()


def test_a_folder_of_somebody_else_is_refused_with_both_users_and_the_cure(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(tmp_path / "landing", 1234, 1234)
    mine = (tmp_path / "landing").stat().st_uid

    with pytest.raises(StackError, match=f"belongs to user {mine} and the containers run as user 4321; change its"):
        prepare(scheduler(4321, tmp_path / "landing"))


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StackError, match=r"file/landing cannot be used \(Not a directory\)"):
        prepare(scheduler(os.geteuid(), tmp_path / "file" / "landing"))


# readiness


def test_a_server_that_does_not_answer_is_told_with_where_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.api.TRIES", 1)

    with pytest.raises(StackError, match="docker compose logs api-server"):
        await_dags("http://127.0.0.1:9", password="", tables=tmp_path, say=print)


# inside/clock


@pytest.mark.parametrize(
    ("before", "database", "after", "ahead"),
    [
        (1000.0, 1000.5, 1001.0, 0.0),
        (1000.0, 900.0, 1001.0, 100.0),
        (1000.0, 1100.0, 1001.0, -99.0),
        (1000.0, 1000.5, 1060.0, 0.0),
    ],
    ids=["right", "ahead", "behind", "a slow answer says nothing"],
)
def test_a_clock_is_wrong_only_by_what_is_sure(before: float, database: float, after: float, ahead: float) -> None:
    assert clock.seconds_ahead(before, database, after) == ahead


# inside/plugins/login_first


@pytest.mark.parametrize(
    ("path", "is_open"),
    [
        ("/api/v2/monitor/health", True),
        ("/api/v2/auth/login", True),
        ("/api/v2/auth/logout", True),
        ("/auth/token", True),
        ("/auth/static/assets/index.js", True),
        ("/execution/task-instances/1/run", True),
        ("/", False),
        ("/auth", False),
        ("/authority", False),
        ("/auth/openapi.json", False),
        ("/execution/docs", False),
        ("/openapi.json", False),
        ("/static/index.html", False),
        ("/api/v2/version", False),
        ("/api/v2/monitor/health/", False),
        ("/api/v2/auth/login/../../dags", False),
    ],
)
def test_what_needs_no_login_is_health_login_and_what_checks_for_itself(path: str, *, is_open: bool) -> None:
    assert login_first.is_open(path) is is_open


@pytest.mark.parametrize(
    ("root", "path", "within"),
    [
        ("", "/dags", "/dags"),
        ("/airflow", "/airflow/dags", "/dags"),
        ("/airflow", "/dags", "/dags"),
        ("/auth", "/authority", "/authority"),
    ],
)
def test_a_path_is_looked_at_as_the_routes_see_it(root: str, path: str, within: str) -> None:
    assert login_first.path_within(root, path) == within


# docker-compose.yaml


def test_no_service_of_airflow_starts_without_a_look_at_its_clock() -> None:
    common = re.search(r"^x-airflow: .*?(?=^x-health:)", COMPOSE, re.MULTILINE | re.DOTALL)
    other = re.findall(r"^  ([a-z-]+):\n(?:    .*\n)*?    entrypoint:", COMPOSE, re.MULTILINE)

    assert common
    assert "entrypoint: [python, /opt/containers/clock.py]" in common[0]
    assert other == ["migrate"]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_reaches_the_containers(name: str) -> None:
    assert re.search(rf"^  RELOADS_{name.upper()}: ", COMPOSE, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in VALUES if name.endswith(("PASSWORD", "SECRET", "KEY", "UID"))])
def test_without_a_secret_the_stack_refuses_to_start_and_names_the_command(name: str) -> None:
    assert f"${{{name}:?run `make env` first" in COMPOSE


def test_no_secret_has_a_default() -> None:
    assert not re.findall(r"\${\w*(?:PASSWORD|SECRET|KEY)\w*:?-", COMPOSE)
