"""A wave has not ended while one of its files is anywhere on its way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reloads.requests import drop_folder
from reloads.requests.drop_folder import list_arrivals, list_request_files, take
from stack.wave import Wave


def test_a_file_that_is_taken_and_not_accepted_yet_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    wave = Wave.begin(tmp_path)
    assert wave.count_waiting() == 1
    [file] = list_arrivals(tmp_path)
    assert take(file, tmp_path) is not None
    assert wave.count_waiting() == 1


def test_a_file_that_is_taken_while_it_is_looked_for_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text("{}")
    [file] = list_arrivals(tmp_path)

    def list_while_somebody_takes_it(landing: Path) -> list[os.DirEntry[str]]:
        entries = list_request_files(landing)
        take(file, landing)
        return entries

    monkeypatch.setattr(drop_folder, "list_request_files", list_while_somebody_takes_it)
    assert Wave.begin(tmp_path).count_waiting() >= 1
