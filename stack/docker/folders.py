"""The folders of the host that the containers work on: they are there, and the containers' user can write them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stack.errors import StackError

ALL_RIGHTS = 0o7


def mounted_folder(service: Mapping[str, Any], name: str) -> Path:
    """The folder of the host that the service sees as ``/opt/reloads/<name>``."""
    for mount in service["volumes"]:
        if mount["target"] == f"/opt/reloads/{name}":
            return Path(mount["source"])
    raise StackError(f"no folder is mounted at /opt/reloads/{name}; put docker-compose.yaml back as it was")


def prepare(service: Mapping[str, Any]) -> None:
    """Make the folders that a service mounts, those that are missing; raises ``StackError`` if one cannot be used.

    Started by root, what root owns in the folders that are written is handed to the containers' user.
    """
    uid = int(service["user"].partition(":")[0])
    for mount in service["volumes"]:
        if mount["type"] != "bind":
            continue
        folder = Path(mount["source"])
        try:
            if not folder.exists():
                folder.mkdir(parents=True)
                os.chown(folder, uid if os.geteuid() == 0 else -1, -1)
            if not mount.get("read_only"):
                _make_writable(folder, uid)
        except OSError as error:
            raise StackError(f"{folder} cannot be used ({error.strerror}); make it, or grant access to it") from error


def _make_writable(folder: Path, uid: int) -> None:
    status = folder.stat()
    # The containers' user is in group 0.
    shift = 6 if status.st_uid == uid else 3 if status.st_gid == 0 else 0
    if status.st_mode >> shift & ALL_RIGHTS == ALL_RIGHTS:
        return
    if os.geteuid() != 0 or status.st_uid != 0:
        raise StackError(
            f"{folder} belongs to user {status.st_uid} and the containers run as user {uid}; "
            "change its owner, or AIRFLOW_UID in .env"
        )
    for path in (folder, *_inside(folder)):
        if path.lstat().st_uid == 0:
            os.chown(path, uid, -1, follow_symlinks=False)


def _inside(folder: Path) -> Iterable[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))
