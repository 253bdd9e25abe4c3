"""The file system of a query: files below its folders are read, and nothing else is reached, listed or written."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from reloads.inspection.read_only_files import SMALL_BYTES, ReadOnlyFiles, Refusal
from reloads.threaded_file import ThreadedFile


@pytest.fixture
def files(tmp_path: Path) -> ReadOnlyFiles:
    """A folder ``in`` with files in two levels, and beside it ``out``, to which links lead."""
    for name in ("in/a.json", "in/b.csv", "in/[c].csv", "in/.d.csv", "in/deep/er/e.csv", "in/.f/g.csv", "out/h.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "in/link.csv").symlink_to(tmp_path / "out/h.csv")
    (tmp_path / "in/out").symlink_to(tmp_path / "out")
    os.mkfifo(tmp_path / "in/pipe.csv")
    return ReadOnlyFiles({"in": tmp_path / "in"})


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.csv", ["[c].csv", "b.csv"]),
        ("*", ["[c].csv", "a.json", "b.csv"]),
        ("", ["[c].csv", "a.json", "b.csv"]),
        ("**", ["[c].csv", "a.json", "b.csv", "deep/er/e.csv"]),
        ("**/*.csv", ["[c].csv", "b.csv", "deep/er/e.csv"]),
        ("deep/**/e.csv", ["deep/er/e.csv"]),
        ("*/*/?.csv", ["deep/er/e.csv"]),
        ("[[]c].csv", ["[c].csv"]),
        (".*", [".d.csv"]),
        (".f/g.csv", [".f/g.csv"]),
        (".//b.csv", ["b.csv"]),
        ("b.csv", ["b.csv"]),
        ("nothing.csv", []),
        ("b.csv/*", []),
        ("deep", []),
        ("*/h.csv", []),
        ("*" * 300, ["[c].csv", "a.json", "b.csv"]),
        ("x" * 300, []),
    ],
)
def test_a_pattern_lists_the_regular_files_that_it_matches(
    files: ReadOnlyFiles, pattern: str, names: list[str]
) -> None:
    assert files.glob(f"in://{pattern}") == [f"in://{name}" for name in names]


def test_a_folder_that_is_missing_lists_nothing(tmp_path: Path) -> None:
    assert ReadOnlyFiles({"in": tmp_path / "gone"}).glob("in://*") == []


@pytest.mark.parametrize(
    "path", ["link.csv", "out/h.csv", "out/*", "../out/h.csv", "out/../out/h.csv", "**/../*", "a\0b"]
)
def test_what_leads_out_is_refused(files: ReadOnlyFiles, path: str) -> None:
    with pytest.raises(Refusal):
        files.glob(f"in://{path}")
    with pytest.raises((Refusal, FileNotFoundError)):
        files.open(f"in://{path}")


@pytest.mark.parametrize("mode", ["wb", "rb+", "r+b", "ab", "xb", "w"])
def test_a_file_is_opened_to_read_only(files: ReadOnlyFiles, tmp_path: Path, mode: str) -> None:
    for name in ("a.json", "new.json"):
        with pytest.raises(Refusal, match=f"^it would write in://{name}$"):
            files.open(f"in://{name}", mode)
    assert (tmp_path / "in/a.json").read_text() == "in/a.json"
    assert not (tmp_path / "in/new.json").exists()


@pytest.mark.parametrize(("path", "error"), [("pipe.csv", Refusal), ("deep", Refusal), ("gone.csv", FileNotFoundError)])
def test_what_is_not_a_file_is_not_opened(files: ReadOnlyFiles, path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        files.open(f"in://{path}")


@pytest.mark.parametrize("size", [0, 1, SMALL_BYTES, SMALL_BYTES + 1])
def test_a_file_of_any_size_is_read_and_its_size_is_that_of_the_opened_one(
    files: ReadOnlyFiles, tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    (tmp_path / "in/x").write_bytes(content)
    with files.open("in://x") as file:
        assert isinstance(file, io.BytesIO | ThreadedFile)
        (tmp_path / "new").write_bytes(b"another")
        (tmp_path / "new").rename(tmp_path / "in/x")
        assert files.size("in://x") == size
        assert file.read() == content
        file.seek(size // 2)
        assert file.read(9) == content[size // 2 :][:9]


def test_a_name_that_is_not_utf_8_is_listed_printable_and_opened_by_that(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff\n.txt")).write_text("odd")
    files = ReadOnlyFiles({"in": tmp_path})
    assert files.glob("in://*") == ["in://\\xff\\n.txt"]
    assert files.open("in://\\xff\\n.txt").read() == b"odd"


@pytest.fixture
def open_files() -> Iterator[None]:
    """Fails if the test leaves a file open."""
    before = _open_handles()
    yield
    assert _open_handles() == before


def _open_handles() -> list[int]:
    handles: list[int] = []
    for handle in range(256):
        with suppress(OSError):
            os.fstat(handle)
            handles.append(handle)
    return handles


@pytest.mark.usefixtures("open_files")
def test_no_file_is_left_open(files: ReadOnlyFiles, tmp_path: Path) -> None:
    (tmp_path / "in/large").write_bytes(bytes(SMALL_BYTES + 1))
    for path in ("a.json", "large", "deep", "pipe.csv", "gone/x", "link.csv", "out/h.csv", "deep/er/e.csv"):
        try:
            file = files.open(f"in://{path}")
        except (Refusal, FileNotFoundError):
            continue
        del file
        files.info(f"in://{path}")
        files.modified(f"in://{path}")
    files.glob("in://**/*")


def test_a_file_that_moved_on_since_it_was_listed_is_read_where_it_is_now(tmp_path: Path) -> None:
    for name in ("accepted", "failed", "done", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "accepted" / "a.json").write_text("mine")
    files = ReadOnlyFiles({"landing": tmp_path}, moves=("failed", "done"))
    [path] = files.glob("landing://accepted/*.json")
    (tmp_path / "accepted" / "a.json").rename(tmp_path / "done" / "a.json")
    assert files.open(path).read() == b"mine"
    assert files.info(path)["size"] == len("mine")
    (tmp_path / "done" / "a.json").rename(tmp_path / "elsewhere" / "a.json")
    with pytest.raises(FileNotFoundError):
        files.open(path)
