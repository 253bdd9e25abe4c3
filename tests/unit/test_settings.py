"""Settings: what deployments may say, and the sentence that a mistake gets."""

import os
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from reloads import settings as settings_module
from reloads.errors import OperatorError
from reloads.settings import Settings, named_urls
from reloads.stores.address import public_name, store_url


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
    ("files", "cores"),
    [
        pytest.param({"cpu.max": "150000 100000"}, 1, id="a core and a half"),
        pytest.param({"cpu.max": "10000 100000"}, 1, id="less than a core"),
        pytest.param({"cpu.max": "99900000 100000"}, None, id="more than there are"),
        pytest.param({"cpu.max": "max 100000"}, None, id="no limit"),
        pytest.param({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1, id="cgroup v1"),
        pytest.param({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None, id="v1, no limit"),
        pytest.param({}, None, id="no container"),
    ],
)
def test_the_cores_of_a_container_are_those_that_it_has_time_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setattr(settings_module, "CGROUP", tmp_path)
    settings = Settings.from_environment({})
    expected = cores or len(os.sched_getaffinity(0))
    assert (settings.threads, settings.tasks_at_once) == (expected, expected)


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


@pytest.mark.parametrize("name", ["warehouse", "source"])
def test_a_folder_that_is_a_url_stands_for_an_object_store(name: str, tmp_path: Path) -> None:
    url = "s3://bucket/a prefix"
    settings = Settings.from_environment({"RELOADS_HOME": str(tmp_path), f"RELOADS_{name.upper()}": f"{url}/"})
    folder = getattr(settings, name)
    assert store_url(folder) == url
    assert folder.parent == settings.mirrors
    assert public_name(folder, "") == url
    assert public_name(folder, "a/b") == f"{url}/a/b"
    plain = Settings.from_environment({"RELOADS_HOME": str(tmp_path), f"RELOADS_{name.upper()}": "a"})
    assert store_url(getattr(plain, name)) is None
    assert public_name(getattr(plain, name), "b") == str(tmp_path / "a" / "b")


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
        ("BATCH_MINUTES", "0"),
        ("BATCH_MINUTES", "10001"),
        ("BATCH_MINUTES", "an hour"),
        ("SEES_LANDING", "perhaps"),
        ("WORKERS", "0"),
        ("WORKERS", "two"),
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
    assert "; write " in sentence


@pytest.mark.parametrize(("text", "sees"), [("", True), ("true", True), ("false", False), ("False", False)])
def test_only_who_says_so_sees_no_drop_folder(text: str, *, sees: bool) -> None:
    settings = Settings.from_environment({"RELOADS_SEES_LANDING": text})
    assert settings.sees_landing is sees
    with nullcontext() if sees else pytest.raises(OperatorError, match="run this where the drop folder is"):
        settings.require_landing()


@pytest.mark.parametrize("value", ["x", ""], ids=["a value", "empty"])
def test_an_unknown_name_is_refused_with_the_known_ones(value: str) -> None:
    with pytest.raises(OperatorError, match=r"RELOADS_COLOUR is not a setting; .*RELOADS_LANDING, RELOADS_WAREHOUSE"):
        Settings.from_environment({"RELOADS_COLOUR": value})


def test_a_name_that_is_nearly_right_is_refused_with_the_right_one() -> None:
    with pytest.raises(OperatorError, match=r"RELOADS_LANDIG is not a setting; did you mean RELOADS_LANDING\?"):
        Settings.from_environment({"RELOADS_LANDIG": "x"})


def test_all_faults_are_found_and_without_them_the_rest_is_good() -> None:
    environment = {"RELOADS_LANDIG": "x", "RELOADS_RETRIES": "many", "RELOADS_POOL": "rewrites", "PATH": "/bin"}
    faults = Settings.find_faults(environment)
    assert list(faults) == ["RELOADS_RETRIES", "RELOADS_LANDIG"]
    assert faults["RELOADS_RETRIES"].startswith("RELOADS_RETRIES='many' is not valid: ")
    rest = {name: value for name, value in environment.items() if name not in faults}
    assert (Settings.find_faults(rest), Settings.from_environment(rest).pool) == ({}, "rewrites")


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


SECRET = "json://user:secret@host/token"


def test_what_messages_are_about_is_some_words() -> None:
    assert Settings.from_environment({}).notify_on == ("failed", "refused", "rejected", "late")
    assert Settings.from_environment({"RELOADS_NOTIFY_ON": " late done "}).notify_on == ("late", "done")
    with pytest.raises(OperatorError, match="'lost' is none of failed, refused, rejected, late, done"):
        Settings.from_environment({"RELOADS_NOTIFY_ON": "late lost"})


def test_the_urls_for_messages_are_separated_by_blanks() -> None:
    settings = Settings.from_environment({"RELOADS_NOTIFY": f"{SECRET}\n mailto://a"})
    assert [url.get_secret_value() for url in settings.notify_urls()] == [SECRET, "mailto://a"]


def test_a_url_with_a_name_is_no_setting_and_any_table_may_ask_for_it() -> None:
    environment = {"RELOADS_NOTIFY_TEAM": SECRET, "RELOADS_NOTIFY_ON": "late", "RELOADS_NOTIFY_NOBODY": ""}
    assert Settings.from_environment(environment).notify_urls() == []
    assert {name: url.get_secret_value() for name, url in named_urls(environment).items()} == {"TEAM": SECRET}


@pytest.mark.parametrize("text", ["secret", f"{SECRET} secret", "://secret"])
def test_no_sentence_about_a_bad_url_holds_it(text: str) -> None:
    with pytest.raises(OperatorError, match=r"RELOADS_NOTIFY is not valid: URL \d of \d does not begin") as caught:
        Settings.from_environment({"RELOADS_NOTIFY": text})
    assert "secret" not in str(caught.value)
    with pytest.raises(OperatorError, match="RELOADS_NOTIFY_TEAM is not one URL") as caught:
        named_urls({"RELOADS_NOTIFY_TEAM": text})
    assert "secret" not in str(caught.value)


def test_no_text_of_the_settings_holds_a_url() -> None:
    settings = Settings.from_environment({"RELOADS_NOTIFY": SECRET})
    for text in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump())):
        assert "secret" not in text
    assert Settings.model_validate(settings.model_dump(mode="json")).notify_urls() == []


@pytest.mark.parametrize("text", ["airflow.example.org", "ftp://a", "https://a b"])
def test_an_address_of_the_page_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(OperatorError, match=r"RELOADS_PAGE_URL=.* is not valid: it is not an address"):
        Settings.from_environment({"RELOADS_PAGE_URL": text})
