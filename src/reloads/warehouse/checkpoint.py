"""Checkpoints: the state of a table in an object store, for a mirror that has not read the commits that were trimmed.

A checkpoint is written before a commit is trimmed, and never changed. The newest one holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from reloads.errors import OperatorError
from reloads.warehouse.mirror import Mirror

CHECKPOINTS = "checkpoints"
"""The name of their folder in that of a log."""


@dataclass(frozen=True)
class Checkpoint:
    """The head of a state and the texts of its pieces, as their files hold them."""

    head: Mapping[str, Any]
    pieces: Mapping[str, str]


def write_checkpoint(mirror: Mirror, log: Path, number: int, checkpoint: Checkpoint) -> None:
    """Write the state as of the commit of that number of the log in that folder, and remove the earlier ones."""
    folder = _folder(mirror, log)
    text = json.dumps({"head": checkpoint.head, "pieces": checkpoint.pieces}, separators=(",", ":"))
    earlier = _find_keys(mirror, log)
    mirror.store.write(f"{folder}/{number}.json", text.encode())
    mirror.store.remove([key for key, found in earlier.items() if found < number])


def read_checkpoint(mirror: Mirror, log: Path) -> Checkpoint:
    """The newest one. Raises ``OperatorError`` where there is none, though commits were trimmed."""
    keys = _find_keys(mirror, log)
    newest = max(keys, key=lambda key: keys[key], default=None)
    content = mirror.store.read(newest) if newest else None
    if content is None:
        place = f"{mirror.store.url}/{_folder(mirror, log)}"
        raise OperatorError(f"{place} has no checkpoint and the log beside it was trimmed; restore that folder")
    try:
        fields = json.loads(content.data)
        return Checkpoint(fields["head"], fields["pieces"])
    except (ValueError, LookupError, TypeError) as error:
        raise OperatorError(f"{mirror.store.url}/{newest} is not a checkpoint; restore that object") from error


def _find_keys(mirror: Mirror, log: Path) -> dict[str, int]:
    keys: dict[str, int] = {}
    for found in mirror.store.look(_folder(mirror, log)):
        stem = PurePosixPath(found.key).stem
        if stem.isdecimal():
            keys[found.key] = int(stem)
    return keys


def _folder(mirror: Mirror, log: Path) -> str:
    return mirror.key_of(log / CHECKPOINTS)
