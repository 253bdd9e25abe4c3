"""Checkpoints: the state of a table in an object store, for a mirror that has not read the commits that were trimmed.

A checkpoint is written before a commit is trimmed, and never changed. The newest one holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from reloads.errors import OperatorError
from reloads.warehouse.layout import log_folder
from reloads.warehouse.mirror import Mirror


@dataclass(frozen=True)
class Checkpoint:
    """The head of a state and the texts of its pieces, as their files hold them."""

    head: Mapping[str, Any]
    pieces: Mapping[str, str]


def write_checkpoint(mirror: Mirror, table: str, number: int, checkpoint: Checkpoint) -> None:
    """Write the state as of the commit of that number, and remove the earlier ones."""
    folder = _folder(mirror, table)
    text = json.dumps({"head": checkpoint.head, "pieces": checkpoint.pieces}, separators=(",", ":"))
    earlier = _find_keys(mirror, table)
    mirror.store.write(f"{folder}/{number}.json", text.encode())
    mirror.store.remove([key for key, found in earlier.items() if found < number])


def read_checkpoint(mirror: Mirror, table: str) -> Checkpoint:
    """The newest one. Raises ``OperatorError`` where there is none, though commits were trimmed."""
    keys = _find_keys(mirror, table)
    newest = max(keys, key=lambda key: keys[key], default=None)
    content = mirror.store.read(newest) if newest else None
    if content is None:
        place = f"{mirror.store.url}/{_folder(mirror, table)}"
        raise OperatorError(f"{place} has no checkpoint and the log of {table} was trimmed; restore that folder")
    try:
        fields = json.loads(content.data)
        return Checkpoint(fields["head"], fields["pieces"])
    except (ValueError, LookupError, TypeError) as error:
        raise OperatorError(f"{mirror.store.url}/{newest} is not a checkpoint; restore that object") from error


def _find_keys(mirror: Mirror, table: str) -> dict[str, int]:
    keys: dict[str, int] = {}
    for found in mirror.store.look(_folder(mirror, table)):
        stem = PurePosixPath(found.key).stem
        if stem.isdecimal():
            keys[found.key] = int(stem)
    return keys


def _folder(mirror: Mirror, table: str) -> str:
    return mirror.key_of(log_folder(mirror.folder, table) / "checkpoints")
