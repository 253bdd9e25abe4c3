"""The programs as supervisor is told of them."""

from __future__ import annotations

import configparser
from dataclasses import astuple
from pathlib import Path

from stack.credentials import Credentials
from stack.native.programs import AIRFLOW, DATABASE, configuration

CREDENTIALS = Credentials.generate()


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


def test_no_password_is_shown_on_a_command_line() -> None:
    command = " ".join(word for words in AIRFLOW.values() for word in words)
    assert not any(secret in command for secret in astuple(CREDENTIALS))


def test_supervisor_is_told_of_the_reaper() -> None:
    parsed = configparser.RawConfigParser()
    parsed.read_string(configuration(["postgres"], port=1, password="x", umask=0o022, is_root=False))
    listener = parsed["eventlistener:reaper"]
    assert listener["events"] == "PROCESS_STATE_EXITED"
    assert Path(listener["command"].split()[-1]).name == "reaper.py"
