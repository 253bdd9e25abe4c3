"""Where a table is rewritten, in which pool, and for how long at most: what Airflow has to know of its tasks.

Cheap enough for a DAG file: it parses no query. A table whose settings are wrong has the defaults, as others say what
is wrong with it, and nothing of it is rewritten until that is mended.
"""

from __future__ import annotations

import tomllib
from contextlib import suppress
from dataclasses import dataclass

from reloads.settings import Settings
from reloads.tables.definition import TableSettings


@dataclass(frozen=True)
class TaskSettings:
    """What holds for the rewrites of one table."""

    queue: str
    """Empty for that of all other tasks."""
    pool: str
    batch_minutes: float
    executor: str = ""
    """Empty for that of all other tasks."""
    at_once: int | None = None
    """How many of its batches run at once at most, where several machines rewrite; None for as many as the pool."""

    @classmethod
    def of(cls, settings: Settings, table: TableSettings | None) -> TaskSettings:
        """What the table says, or the deployment where it says nothing."""
        return cls(
            queue=(table and table.queue) or settings.queue,
            pool=(table and table.pool) or settings.pool,
            batch_minutes=(table and table.batch_minutes) or settings.batch_minutes,
            executor=settings.executor,
            # On one machine a run has no more batches than that.
            at_once=(table and table.parallelism) or None if settings.workers > 1 else None,
        )

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is rewritten by other workers than those that plan: what is planned is not rewritten there."""
        return bool(self.queue or self.executor)


def read_task_settings(settings: Settings, table: str) -> TaskSettings:
    """What holds for the table of that name, by its folder as it is now."""
    # A file that is not text or not TOML raises ValueError, and so does a setting that is wrong.
    with suppress(OSError, ValueError):
        values = tomllib.loads((settings.tables / table / "table.toml").read_text(encoding="utf-8"))
        return TaskSettings.of(settings, TableSettings.model_validate(values))
    return TaskSettings.of(settings, None)
