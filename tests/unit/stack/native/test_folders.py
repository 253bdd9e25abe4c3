"""The folders of the processes here."""

from __future__ import annotations

import stat
from pathlib import Path

from stack.native.folders import Folders


def test_only_the_owner_can_look_into_the_stacks_folder(tmp_path: Path) -> None:
    folders = Folders(home=tmp_path, clone=tmp_path)
    folders.make()
    assert stat.S_IMODE(folders.local.stat().st_mode) == 0o700
