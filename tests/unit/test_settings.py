"""Settings: what deployments may say, and the sentence that a mistake gets."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from reloads.errors import OperatorError
from reloads.settings import Settings


def test_a_fresh_clone_needs_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment({})
    assert settings.landing == tmp_path / "landing"
    assert settings.warehouse == tmp_path / "warehouse"
    assert settings.tables == tmp_path / "tables"
    assert settings.source == tmp_path / ".local/source"
    assert (settings.time_zone, settings.observer) == ("UTC", "auto")


def test_the_defaults_are_what_the_machine_has() -> None:
    settings = Settings.from_environment({})
    cores = len(os.sched_getaffinity(0))
    assert (settings.threads, settings.tasks_at_once) == (cores, cores)
    machine_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    assert 0 < settings.memory_mb <= 0.6 * machine_mb


@pytest.mark.parametrize(
    ("environment", "landing"),
    [
        pytest.param({}, "/h/landing", id="default"),
        pytest.param({"RELOADS_LANDING": ""}, "/h/landing", id="empty means default"),
        pytest.param({"RELOADS_LANDING": "drop/here"}, "/h/drop/here", id="relative to home"),
        pytest.param({"RELOADS_LANDING": "/mnt/drop"}, "/mnt/drop", id="absolute"),
    ],
)
def test_folders_are_taken_from_home(environment: dict[str, str], landing: str) -> None:
    assert Settings.from_environment({"RELOADS_HOME": "/h", **environment}).landing == Path(landing)


def test_a_relative_home_is_taken_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment({"RELOADS_HOME": "h"}).warehouse == tmp_path / "h" / "warehouse"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIME_ZONE", "Europe/Berlni"),
        ("TIME_ZONE", "+01:00"),
        ("DAILY_SCHEDULE", "at noon"),
        ("CATCH_UP_DAYS", "0"),
        ("CATCH_UP_DAYS", "4001"),
        ("CATCH_UP_DAYS", "a week"),
        ("RESCAN_SECONDS", "0"),
        ("RESCAN_SECONDS", "-1"),
        ("RESCAN_SECONDS", "nan"),
        ("RESCAN_SECONDS", "inf"),
        ("STABLE_SECONDS", "0"),
        ("STABLE_SECONDS", "inf"),
        ("STABLE_SECONDS", "soon"),
        ("OBSERVER", "inotify"),
        ("TASKS_AT_ONCE", "-1"),
        ("TASKS_AT_ONCE", "2.5"),
        ("THREADS", "-1"),
        ("THREADS", "all"),
        ("MEMORY_MB", "-1"),
        ("MEMORY_MB", "1GB"),
        ("RETRIES", "-1"),
        ("RETRIES", "21"),
    ],
)
def test_a_bad_value_gets_one_sentence_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(OperatorError) as caught:
        Settings.from_environment({f"RELOADS_{name}": value})
    sentence = str(caught.value)
    assert sentence.startswith(f"RELOADS_{name}={value!r} is not valid: ")
    assert "\n" not in sentence
    assert "pydantic" not in sentence


@pytest.mark.parametrize("value", ["x", ""], ids=["a value", "empty"])
def test_an_unknown_name_is_refused_with_the_known_ones(value: str) -> None:
    with pytest.raises(OperatorError, match=r"RELOADS_LANDIG is not a setting; .*RELOADS_LANDING, RELOADS_WAREHOUSE"):
        Settings.from_environment({"RELOADS_LANDIG": value})


def test_variables_of_other_programs_are_ignored() -> None:
    assert Settings.from_environment({"LANDING": "/x", "AIRFLOW_HOME": "/y"}) == Settings.from_environment({})


@pytest.mark.parametrize(
    ("time_zone", "day"),
    [
        ("UTC", date(2025, 3, 30)),
        ("Europe/Berlin", date(2025, 3, 31)),
        ("America/New_York", date(2025, 3, 30)),
        ("Pacific/Kiritimati", date(2025, 3, 31)),
    ],
)
def test_the_time_zone_decides_what_day_it_is(time_zone: str, day: date) -> None:
    settings = Settings.from_environment({"RELOADS_TIME_ZONE": time_zone})
    assert settings.day_of(datetime(2025, 3, 30, 22, 30, tzinfo=UTC)) == day


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_an_old_name_of_a_setting_is_an_error_that_names_the_new_one() -> None:
    with pytest.raises(OperatorError, match=r"^RELOADS_SETTLE_SECONDS is called RELOADS_STABLE_SECONDS now"):
        Settings.from_environment({"RELOADS_SETTLE_SECONDS": "5"})
