"""Which tables' DAGs are paused, as Airflow's API server noted it last: ``landing/.airflow/paused.json``.

Only Airflow knows, and the terminal does not ask it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from reloads.files import make_own_folder

NOTE = Path(".airflow", "paused.json")
STALE_AFTER = timedelta(seconds=60)
"""Older notes say nothing: the DAG may have been unpaused since."""


def note_paused(landing: Path, tables: Collection[str], *, now: datetime) -> None:
    """Note the tables whose DAGs are paused; readers see the old note or the new one.

    Raises ``OperatorError`` or ``OSError`` where it cannot be written.
    """
    path = landing / NOTE
    make_own_folder(path.parent)
    # Not flushed: after a power cut it is stale.
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(json.dumps({"at": now.isoformat(), "tables": sorted(tables)}), encoding="utf-8")
    beside.replace(path)


def read_paused(landing: Path, *, now: datetime) -> frozenset[str]:
    """The tables whose DAGs are paused; none if nobody noted any lately."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads((landing / NOTE).read_bytes())
        if abs(now - datetime.fromisoformat(content["at"])) < STALE_AFTER:
            return frozenset(map(str, content["tables"]))
    return frozenset()


def read_noted_at(landing: Path) -> datetime | None:
    """When Airflow's API server noted them last, which it does every few seconds; None if it never did."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return datetime.fromisoformat(json.loads((landing / NOTE).read_bytes())["at"])
    return None
