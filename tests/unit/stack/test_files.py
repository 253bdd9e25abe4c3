"""Files that are written whole, and by one command at a time."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.files import exclusive_lock, last_lines, write_private


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
    with (
        exclusive_lock(tmp_path / "lock"),
        pytest.raises(StackError, match="wait for it"),
        exclusive_lock(tmp_path / "lock"),
    ):
        pass
