"""The sample: raw files of flights and weather that the tables and the example requests of this repository read.

Both stacks lay it out when they start, so that every file of `landing/examples` works at once. It goes into the clone's
own folder of raw files and nowhere else: who keeps raw files or tables somewhere else has data of their own there.
"""

from __future__ import annotations

from pathlib import Path

from examples.make_source import FEEDS, missing_days
from stack.errors import StackError

DEFAULT_SOURCE = Path(".local", "source")


def belongs_to(clone: Path, *, source: Path, tables: Path) -> bool:
    """Whether a stack of ``clone`` is to have the sample: it uses the clone's folders, and its tables of the sample."""
    if source.resolve() != (clone / DEFAULT_SOURCE).resolve() or tables.resolve() != (clone / "tables").resolve():
        return False
    return all((tables / feed.name).is_dir() for feed in FEEDS)


def is_complete(source: Path) -> bool:
    """Whether every file of the sample is there, whatever it holds."""
    return not any(missing_days(feed, source) for feed in FEEDS)


def require(source: Path) -> None:
    """Raise ``StackError`` unless the sample is there."""
    if not is_complete(source):
        raise StackError(
            f"{source} lacks files of the sample that the demo loads; unset RELOADS_SOURCE and RELOADS_TABLES, "
            f"or lay it out there with `python examples/make_source.py {source}`"
        )
