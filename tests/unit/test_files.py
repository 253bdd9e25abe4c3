"""Files are whole or not there, and no name is too long or too odd."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.errors import OperatorError
from reloads.files import (
    MANY_FLUSHES,
    free_name,
    make_folder,
    printable_name,
    read_json,
    sync_all,
    write_atomically,
)

ENDINGS = (".json", ".error.txt")


def test_a_file_is_replaced_and_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "note"
    write_atomically(path, "old")
    with path.open() as reader:
        write_atomically(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_atomically(tmp_path / "note", "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OperatorError, match=r"note cannot be written \(No space left on device\); make room"):
        write_atomically(tmp_path / "note", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["note"]
    assert (tmp_path / "note").read_text() == "old"


def test_a_file_is_written_beside_under_a_hidden_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def list_names(_handle: int) -> None:
        names.extend(path.name for path in tmp_path.iterdir())

    monkeypatch.setattr(os, "fsync", list_names)
    write_atomically(tmp_path / "a.json", "new")
    beside, *_ = names
    assert beside.startswith(".")
    assert not beside.endswith(".json")


@pytest.mark.parametrize("has_syncfs", [True, False], ids=["syncfs", "no syncfs"])
def test_each_of_very_many_files_is_flushed_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_syncfs: bool
) -> None:
    flushed: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.add(os.fstat(handle).st_ino))
    if not has_syncfs:
        monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    paths = [tmp_path / str(number) for number in range(MANY_FLUSHES)]
    for path in paths:
        path.touch()
    sync_all(paths)
    assert flushed == {path.stat().st_ino for path in paths}


def test_one_of_very_many_files_that_the_disk_does_not_take_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / str(number) for number in range(MANY_FLUSHES)]
    for path in paths:
        path.touch()
    bad = paths[-1].stat().st_ino

    def refuse_one(handle: int) -> None:
        if os.fstat(handle).st_ino == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse_one)
    with pytest.raises(OSError, match="Input/output error"):
        sync_all(paths)


@pytest.mark.parametrize("content", ["", "{", "\xff"], ids=["empty", "half", "not UTF-8"])
def test_a_json_file_that_cannot_be_read_any_more_is_the_operators_to_mend(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(OperatorError, match=r"a\.json is not JSON \(.*\); restore the file, or remove it"):
        read_json(tmp_path / "a.json")


def test_a_missing_json_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"a\.json cannot be read \(No such file or directory\)"):
        read_json(tmp_path / "a.json")


def test_a_folder_is_made_with_those_above_it_and_may_be_there(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match=r"file/b cannot be written \(Not a directory\); make room or grant access"):
        make_folder(tmp_path / "file" / "b")


@pytest.mark.parametrize("parent", ["missing", "file"])
def test_a_place_that_is_not_a_folder_is_the_operators_to_mend(tmp_path: Path, parent: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match="cannot be written"):
        write_atomically(tmp_path / parent / "note", "new")


def test_stray_bytes_of_a_name_can_be_written_into_a_note(tmp_path: Path) -> None:
    write_atomically(tmp_path / "note", os.fsdecode(b"\xff.json"))
    assert (tmp_path / "note").read_text(encoding="utf-8") == r"\udcff.json"


def test_a_free_name_is_the_name_itself(tmp_path: Path) -> None:
    assert free_name(tmp_path, "a.b.json", endings=ENDINGS) == "a.b"


@pytest.mark.parametrize("file", ["a.json", "a.error.txt"])
def test_a_name_is_taken_if_any_of_its_files_exists(tmp_path: Path, file: str) -> None:
    (tmp_path / file).touch()
    assert free_name(tmp_path, "a.json", endings=ENDINGS) == "a-2"


def test_a_link_to_nowhere_takes_its_name_too(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to("nowhere")
    assert free_name(tmp_path, "a.json", endings=ENDINGS) == "a-2"


@pytest.mark.parametrize("name", ["x" * 250 + ".json", "é" * 125 + ".json"], ids=["ASCII", "two bytes a letter"])
def test_a_name_of_255_bytes_gets_room_for_its_ending_and_number(tmp_path: Path, name: str) -> None:
    stems = []
    for _ in range(3):
        stems.append(free_name(tmp_path, name, endings=ENDINGS))
        for ending in ENDINGS:
            (tmp_path / f"{stems[-1]}{ending}").touch(exist_ok=False)
    assert len(set(stems)) == 3


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("two\nlines.json", r"two\nlines.json", id="newline"),
        pytest.param("tab\there.json", r"tab\there.json", id="tab"),
        pytest.param("\x1b[31mred.json", r"\x1b[31mred.json", id="terminal colours"),
        pytest.param("nosj\u202e.json", r"nosj\u202e.json", id="right to left"),
        pytest.param(os.fsdecode(b"caf\xe9.json"), r"caf\xe9.json", id="Latin-1"),
        pytest.param("Zürich 'a' \"b\".json", "Zürich 'a' \"b\".json", id="nothing to escape"),
    ],
)
def test_a_name_is_shown_so_that_it_can_be_read(name: str, shown: str) -> None:
    assert printable_name(name) == shown


@given(st.binary(min_size=1, max_size=255))
def test_any_name_fits_on_one_line(name: bytes) -> None:
    assert printable_name(os.fsdecode(name)).isprintable()
