"""Where everything lies in the warehouse: the one place that knows the names of its folders and files.

<table>/<day column>=YYYY-MM-DD/[<key>=<value>/]data.parquet   the published partitions
.staging/<table>-<random>/         where a batch writes before it publishes
.log/<table>/<number>.json         the commits: what was published when, by whom, and what from
.versions/<table>/<partition>/<number>.parquet   the files that commits brought; partitions are links to them
.state/<table>/                    what is known of each partition now, as the log has it
.cursors/<table>/<follower>.json   how far each follower has followed the table's log
.delta/<table>/                    the same partitions as a Delta table, for a table with snapshots
.failed/<table>/                   rows that a check refused, for a look
.dropped/<table>@<time>/           all of that of a dropped table, for as long as it is kept

All of it lies on one file system, so that a rename or a link takes a file from one place to another.

A warehouse in an object store has the same names, as far as it has these things; ``mirror`` says which those are, and
``log_ends`` where the logs lie of a name that several tables had.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

DATA_FILE = "data.parquet"
"""The one file of a partition."""


def staging_root(warehouse: Path) -> Path:
    """The folder of the staging folders of all tables."""
    return warehouse / ".staging"


def log_folder(warehouse: Path, table: str) -> Path:
    """The commits of a table."""
    return warehouse / ".log" / table


@lru_cache(maxsize=256)  # of each partition of a calendar it is asked for
def versions_folder(warehouse: Path, table: str) -> Path:
    """The versions of a table's partitions."""
    return warehouse / ".versions" / table


def state_folder(warehouse: Path, table: str) -> Path:
    """What is known of each partition of a table."""
    return warehouse / ".state" / table


def cursors_folder(warehouse: Path, table: str) -> Path:
    """The cursors of those that follow a table."""
    return warehouse / ".cursors" / table


def delta_folder(warehouse: Path, table: str) -> Path:
    """The Delta table of a table with snapshots."""
    return warehouse / ".delta" / table


def view_note(warehouse: Path, table: str) -> Path:
    """Up to which commit the current view in an object store was brought."""
    return warehouse / ".view" / f"{table}.json"


def lock_file(warehouse: Path, table: str) -> Path:
    """The file whose lock serialises the writers of a table."""
    return warehouse / ".log" / f"{table}.lock"


def failed_folder(warehouse: Path, table: str) -> Path:
    """The rows of a table that a check refused."""
    return warehouse / ".failed" / table


def dropped_folder(place: Path) -> Path:
    """What belongs to dropped tables in the warehouse, or likewise in another folder."""
    return place / ".dropped"


def hidden_folders(warehouse: Path) -> list[Path]:
    """The folders that nobody but this software writes to."""
    return list(warehouse.glob(".*"))
