"""The folders that the containers mount."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stack.docker.folders import mounted_folder, prepare
from stack.errors import StackError


def service(uid: int, *folders: Path, read_only: bool = False) -> dict[str, object]:
    mounts = [{"type": "bind", "source": str(folder), "read_only": read_only} for folder in folders]
    return {"user": f"{uid}:0", "volumes": [{"type": "volume", "source": "logs"}, *mounts]}


def test_folders_that_are_missing_are_made(tmp_path: Path) -> None:
    prepare(service(os.geteuid(), tmp_path / "a" / "landing", tmp_path / "warehouse"))

    assert (tmp_path / "a" / "landing").is_dir()
    assert (tmp_path / "warehouse").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_made_in_a_folder_that_is_written_goes_to_the_containers_user(tmp_path: Path) -> None:
    (tmp_path / "landing" / "done").mkdir(parents=True)
    (tmp_path / "landing" / "done" / "a.json").touch()
    os.chown(tmp_path / "landing" / "done" / "a.json", 1234, -1)
    # Whoever is in group 0 may write the folder of root otherwise.
    (tmp_path / "landing").chmod(0o755)

    prepare(service(4321, tmp_path / "landing"))

    assert [(tmp_path / name).stat().st_uid for name in ("landing", "landing/done")] == [4321, 4321]
    assert (tmp_path / "landing" / "done" / "a.json").stat().st_uid == 1234


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_that_is_only_read_keeps_its_owner(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()

    prepare(service(4321, tmp_path / "tables", read_only=True))

    assert (tmp_path / "tables").stat().st_uid == os.geteuid()


def test_a_folder_of_somebody_else_is_refused_with_both_users_and_the_cure(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(tmp_path / "landing", 1234, 1234)
    owner = (tmp_path / "landing").stat().st_uid

    with pytest.raises(StackError, match=f"belongs to user {owner} and the containers run as user 4321; change its"):
        prepare(service(4321, tmp_path / "landing"))


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StackError, match=r"file/landing cannot be used \(Not a directory\)"):
        prepare(service(os.geteuid(), tmp_path / "file" / "landing"))


def test_a_folder_is_known_by_where_it_is_mounted() -> None:
    mounts = [{"target": "/opt/airflow/logs"}, {"target": "/opt/reloads/tables", "source": "/srv/tables"}]

    assert mounted_folder({"volumes": mounts}, "tables") == Path("/srv/tables")
    with pytest.raises(StackError, match="/opt/reloads/source"):
        mounted_folder({"volumes": mounts}, "source")
