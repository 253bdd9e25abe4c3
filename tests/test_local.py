"""Rules of `local`, the run without containers; its processes are tried in tests/e2e."""

from __future__ import annotations

import configparser
import os
import re
import socket
import stat
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from local.environment import database_url, environment
from local.errors import LocalError
from local.files import last_lines, only_one, write_private
from local.folders import Folders
from local.leftovers import find_leftovers
from local.passwords import Passwords
from local.ports import HOST, Ports, choose_ports, is_port_free
from local.processes import AIRFLOW, DATABASE, configuration
from local.reaper import end_group

FOLDERS = Folders(home=Path("/srv/home"), clone=Path("/srv/clone"))
PASSWORDS = Passwords.generate()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(home=tmp_path, clone=tmp_path)
    made.make()
    return made


def variables(**inherited: str) -> dict[str, str]:
    return environment(FOLDERS, Ports(), PASSWORDS, inherited=inherited, cores=2)


# environment


def test_every_address_is_on_the_loopback_interface() -> None:
    found = variables()
    urls = [urlsplit(value) for value in found.values() if "://" in value]
    assert len(urls) >= 4
    assert {found["AIRFLOW__API__HOST"], *(url.hostname for url in urls)} == {HOST}


def test_everything_is_written_below_the_home_folder() -> None:
    outside = {name: value for name, value in variables().items() if value.startswith("/") and "/srv/home" not in value}
    assert outside == {"AIRFLOW__CORE__DAGS_FOLDER": "/srv/clone/dags"}


def test_somebody_elses_airflow_database_and_python_do_not_leak_in() -> None:
    foreign = {"AIRFLOW__CORE__EXECUTOR": "CeleryExecutor", "PYTHONPATH": "/x", "PGHOST": "db", "MAKEFLAGS": "j"}
    found = variables(**foreign)
    assert found["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert not foreign.keys() - {"AIRFLOW__CORE__EXECUTOR"} & found.keys()


def test_the_callers_settings_stay_in_force_but_the_home_folder_is_the_stacks() -> None:
    found = variables(RELOADS_TIME_ZONE="Europe/Berlin", RELOADS_HOME="/elsewhere", RELOADS_TASKS_AT_ONCE="1")
    assert (found["RELOADS_TIME_ZONE"], found["RELOADS_TASKS_AT_ONCE"]) == ("Europe/Berlin", "1")
    assert found["RELOADS_HOME"] == "/srv/home"


@pytest.mark.parametrize(("cores", "parallelism"), [(1, "4"), (2, "4"), (8, "16")])
def test_as_many_tasks_run_at_once_as_suit_the_cores(cores: int, parallelism: str) -> None:
    found = environment(FOLDERS, Ports(), PASSWORDS, inherited={}, cores=cores)
    assert found["AIRFLOW__CORE__PARALLELISM"] == found["RELOADS_TASKS_AT_ONCE"] == parallelism


def test_a_proxy_is_never_asked_for_the_way_to_this_machine() -> None:
    assert variables(no_proxy="intra.net")["NO_PROXY"] == "intra.net,127.0.0.1,localhost"


# passwords


def test_passwords_are_random_and_need_no_quoting() -> None:
    assert not set(astuple(PASSWORDS)) & set(astuple(Passwords.generate()))
    assert all(re.fullmatch(r"[\w=-]{16,}", secret, re.ASCII) for secret in astuple(PASSWORDS))


def test_passwords_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    assert Passwords.kept_in(path) == Passwords.kept_in(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_password_file_is_an_error_with_a_cure(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text("{")
    with pytest.raises(LocalError, match=r"secrets\.json is not readable .* start afresh"):
        Passwords.kept_in(path)


def test_no_password_is_shown_on_a_command_line() -> None:
    command = " ".join(word for words in AIRFLOW.values() for word in words)
    assert not any(secret in command for secret in astuple(PASSWORDS))


# ports


def test_the_next_free_port_is_chosen_when_8080_is_taken() -> None:
    chosen = choose_ports(Ports(), is_free=lambda port: port not in {8080, 8081})
    assert chosen.api == 8082


def test_two_stacks_never_share_a_port_even_if_one_has_only_taken_supervisors() -> None:
    first = choose_ports(Ports(), is_free=lambda _: True)
    second = choose_ports(Ports(), is_free=lambda port: port != first.supervisor)
    assert not set(astuple(first)) & set(astuple(second))


def test_the_ports_of_the_last_start_are_preferred() -> None:
    previous = Ports(api=8085, database=15440, supervisor=19009)
    assert choose_ports(previous, is_free=lambda _: True) == previous


def test_a_full_machine_is_an_error_with_a_cure() -> None:
    with pytest.raises(LocalError, match="none of the ports 8080 to 9079 is free"):
        choose_ports(Ports(), is_free=lambda _: False)


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        assert not is_port_free(server.getsockname()[1])


def test_ports_are_kept_for_the_next_command(tmp_path: Path) -> None:
    Ports(api=8090).keep_in(tmp_path / "ports.json")
    assert Ports.kept_in(tmp_path / "ports.json").api == 8090
    assert Ports.kept_in(tmp_path / "nothing.json") == Ports()


# processes


def test_supervisor_keeps_every_program_and_starts_the_database_alone() -> None:
    text = configuration(["postgres", "-D", "a b%c"], port=19001, password="secret", umask=0o22, is_root=False)
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    programs = {name: parser[f"program:{name}"] for name in (DATABASE, *AIRFLOW)}
    assert [name for name, program in programs.items() if program.getboolean("autostart")] == [DATABASE]
    assert all(program.getboolean("autorestart") for program in programs.values())
    assert all(program["stdout_logfile_maxbytes"] == "5MB" for program in programs.values())
    assert parser["inet_http_server"]["port"] == "127.0.0.1:19001"
    assert programs[DATABASE]["command"] == "postgres -D 'a b%%c'"


def test_the_database_is_reached_with_its_password() -> None:
    assert database_url(Ports(), PASSWORDS).startswith(f"postgresql://airflow:{PASSWORDS.database}@127.0.0.1:15432/")


# leftovers


def test_a_process_of_the_home_folder_is_found_and_no_other(folders: Folders) -> None:
    def sleeper(home: Path) -> psutil.Popen:
        return psutil.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(home)})

    ours, theirs = sleeper(folders.airflow), sleeper(folders.home / "other" / ".local" / "airflow")
    try:
        assert [process.pid for process in find_leftovers(folders)] == [ours.pid]
    finally:
        for process in (ours, theirs):
            process.kill()
            process.wait()


# files


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_the_end_of_a_log_is_shown_and_a_missing_one_is_no_error(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(map(str, range(100))))
    assert last_lines(log, 2) == "  98\n  99"
    assert last_lines(tmp_path / "none") == "  (nothing)"


def test_two_commands_never_work_on_one_stack_at_once(tmp_path: Path) -> None:
    with only_one(tmp_path / "lock"), pytest.raises(LocalError, match="wait for it"), only_one(tmp_path / "lock"):
        pass


def test_only_the_owner_can_look_into_the_stacks_folder(folders: Folders) -> None:
    assert stat.S_IMODE(folders.local.stat().st_mode) == 0o700


# reaper


def test_what_a_killed_program_leaves_behind_is_ended() -> None:
    code = "import subprocess as s; print(s.Popen(['sleep', '600'], stdout=s.DEVNULL).pid, flush=True)"
    leader = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, process_group=0)
    out, _ = leader.communicate(timeout=60)
    left = psutil.Process(int(out))
    assert left.is_running()
    end_group(leader.pid)
    psutil.wait_procs([left], timeout=60)
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE


def test_a_program_that_left_nothing_behind_is_no_trouble() -> None:
    leader = subprocess.Popen([sys.executable, "-c", ""], process_group=0)
    leader.wait(timeout=60)
    end_group(leader.pid)


def test_supervisor_is_told_of_the_reaper() -> None:
    parsed = configparser.RawConfigParser()
    parsed.read_string(configuration(["postgres"], port=1, password="x", umask=0o022, is_root=False))
    listener = parsed["eventlistener:reaper"]
    assert listener["events"] == "PROCESS_STATE_EXITED"
    assert Path(listener["command"].split()[-1]).name == "reaper.py"
