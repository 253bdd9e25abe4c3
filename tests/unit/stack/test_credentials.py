"""The passwords and keys of both stacks."""

from __future__ import annotations

import re
import stat
from dataclasses import astuple
from pathlib import Path

import pytest

from stack.airflow_settings import read_shared_settings
from stack.credentials import USER, Credentials
from stack.errors import StackError

CREDENTIALS = Credentials.generate()


def test_passwords_are_random_and_need_no_quoting() -> None:
    assert not set(astuple(CREDENTIALS)) & set(astuple(Credentials.generate()))
    assert all(re.fullmatch(r"[\w=-]{16,}", secret, re.ASCII) for secret in astuple(CREDENTIALS))


def test_passwords_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    assert Credentials.kept_in(path) == Credentials.kept_in(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_password_file_is_an_error_with_a_cure(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text("{")
    with pytest.raises(StackError, match=r"secrets\.json is not readable .* start afresh"):
        Credentials.kept_in(path)


def test_the_user_is_the_one_that_airflow_is_told_of() -> None:
    assert read_shared_settings()["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == f"{USER}:admin"
