"""Settings of the containers that have another name now."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stack.docker import renamed_settings
from stack.docker.renamed_settings import NEW_NAMES, why_refused

CLONE = Path(__file__).resolve().parents[4]
COMPOSE = (CLONE / "docker-compose.yaml").read_text()


@pytest.mark.parametrize(("old", "new"), NEW_NAMES.items())
def test_an_old_name_is_refused_with_its_value_and_the_new_name(old: str, new: str) -> None:
    assert why_refused({"A": "1", old: "7"}) == (
        f"{old}=7 has another name now: write {new}=7, in .env or where else it is set"
    )


@pytest.mark.parametrize("settings", [{}, {"HISTORY_DAYS": ""}, dict.fromkeys(NEW_NAMES.values(), "7")])
def test_new_names_and_empty_old_ones_are_fine(settings: dict[str, str]) -> None:
    assert why_refused(settings) == ""


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    """Start a service as the compose file does."""
    command = [sys.executable, renamed_settings.__file__, "echo", "migrated"]
    path = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, env=path | environment, capture_output=True, text=True, check=False)


def test_a_service_starts_only_without_an_old_name() -> None:
    assert start().stdout == "migrated\n"

    refused = start(HISTORY_DAYS="7")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: HISTORY_DAYS=7 has another name now: write AIRFLOW_HISTORY_DAYS=7")


def test_whoever_starts_compose_by_hand_is_refused_by_the_service_that_all_others_wait_for() -> None:
    [migrate] = re.findall(r"^  migrate:\n(?:    .*\n)+", COMPOSE, re.MULTILINE)
    common = re.search(r"^x-airflow: .*?(?=^x-health:)", COMPOSE, re.MULTILINE | re.DOTALL)

    assert "entrypoint: [python, /opt/containers/renamed_settings.py]" in migrate
    assert re.findall(r"(\w+): \${(\w+):-}", migrate)[-2:] == [(old, old) for old in NEW_NAMES]
    assert common
    assert "migrate: {condition: service_completed_successfully}" in common[0]
    assert "renamed_settings.py /opt/containers/" in (CLONE / "Dockerfile").read_text()


@pytest.mark.parametrize(("old", "new"), NEW_NAMES.items())
def test_the_new_name_is_the_one_that_counts(old: str, new: str) -> None:
    assert re.search(rf"^ +{new}: \${{{new}:-", COMPOSE, re.MULTILINE)
    assert len(re.findall(rf"\b{old}\b", COMPOSE.replace(new, ""))) == 2
