"""The file `.env`."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from stack.docker.env_file import complete, containers_user
from stack.errors import StackError

NAMES = [
    *("AIRFLOW_PORT", "AIRFLOW_UID", "AIRFLOW_HISTORY_DAYS"),
    *("ADMIN_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "API_SECRET_KEY", "JWT_SECRET", "FERNET_KEY"),
]


def read(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE))


def test_a_new_file_holds_every_variable_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    added = complete(tmp_path / ".env", {})

    assert added == NAMES
    assert read(tmp_path / ".env").keys() == set(NAMES)
    assert all(read(tmp_path / ".env").values())
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_a_complete_file_stays_as_it_is_to_the_byte(tmp_path: Path) -> None:
    complete(tmp_path / ".env", {})
    before = (tmp_path / ".env").read_bytes(), (tmp_path / ".env").stat().st_mtime_ns

    assert complete(tmp_path / ".env", {}) == []
    assert ((tmp_path / ".env").read_bytes(), (tmp_path / ".env").stat().st_mtime_ns) == before


def test_what_is_missing_is_added_behind_what_is_there(tmp_path: Path) -> None:
    text_before = "# mine\nexport ADMIN_PASSWORD=chosen\n AIRFLOW_HISTORY_DAYS = 7\nAIRFLOW_PORT="
    (tmp_path / ".env").write_text(text_before)

    added = complete(tmp_path / ".env", {})

    text = (tmp_path / ".env").read_text()
    assert text.startswith(f"{text_before}\n")
    assert set(added) == set(NAMES) - {"ADMIN_PASSWORD", "AIRFLOW_HISTORY_DAYS", "AIRFLOW_PORT"}
    assert all(len(re.findall(rf"^.*\b{name}\s*=", text, re.MULTILINE)) == 1 for name in NAMES)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_a_variable_in_a_comment_counts_as_missing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# JWT_SECRET=old\n")

    assert "JWT_SECRET" in complete(tmp_path / ".env", {})


def test_two_deployments_share_no_password_and_no_key(tmp_path: Path) -> None:
    complete(tmp_path / "a", {})
    complete(tmp_path / "b", {})

    a, b = read(tmp_path / "a"), read(tmp_path / "b")
    secret = [name for name in NAMES if name.endswith(("PASSWORD", "SECRET", "KEY"))]
    assert len(secret) == 6
    assert all(a[name] != b[name] and len(a[name]) >= 16 for name in secret)


@pytest.mark.parametrize("environment", [{}, {"SUDO_UID": "0"}, {"SUDO_UID": "1234"}])
def test_the_containers_never_run_as_root(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)

    assert containers_user(environment) == int(environment.get("SUDO_UID", 0)) or 50_000


def test_the_containers_run_as_whoever_starts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1001)

    assert containers_user({}) == 1001


@pytest.mark.parametrize(
    ("old", "new"),
    [("HISTORY_DAYS", "AIRFLOW_HISTORY_DAYS"), ("RELOADS_SETTLE_SECONDS", "RELOADS_STABLE_SECONDS")],
)
def test_an_old_name_is_refused_with_the_new_one_and_the_file_stays_as_it_is(
    tmp_path: Path, old: str, new: str
) -> None:
    path = tmp_path / ".env"
    for text, environment in ((f"export {old} = 7\n", {}), ("A=1\n", {old: "7"})):
        path.write_text(text)
        with pytest.raises(StackError, match=f"{old}=7 has another name now: write {new}=7"):
            complete(path, environment)
        assert path.read_text() == text


def test_an_old_name_without_a_value_is_not_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HISTORY_DAYS=\n# HISTORY_DAYS=7\n")

    assert "AIRFLOW_HISTORY_DAYS" in complete(tmp_path / ".env", {})
