"""Where everything lies in the warehouse: the one place that knows the names of its folders and files.

<table>/<day column>=YYYY-MM-DD/[<key>=<value>/]data.parquet   the published partitions
.staging/<table>-<random>/         where a batch writes before it publishes
.log/<table>/<number>.json         the commits: what was published when, by whom, and what from
.versions/<table>/<partition>/<number>.parquet   the files that commits brought; partitions are links to them
.state/<table>/                    what is known of each partition now, as the log has it
.cursors/<table>/<follower>.json   how far each follower has followed the table's log
.ledger/<table>.json               what each partition was made from
.history/<table>/                  what publishing replaced, for an undo
.changes/<table>/                  which days changed, until the downstream tables are asked to follow
.failed/<table>/                   rows that a check refused, for a look

All of it lies on one file system, so that a rename or a link takes a file from one place to another.
"""

from __future__ import annotations

from pathlib import Path

DATA_FILE = "data.parquet"
"""The one file of a partition."""
HISTORY_FOLDER = ".history"


def staging_root(warehouse: Path) -> Path:
    """The folder of the staging folders of all tables."""
    return warehouse / ".staging"


def log_folder(warehouse: Path, table: str) -> Path:
    """The commits of a table."""
    return warehouse / ".log" / table


def versions_folder(warehouse: Path, table: str) -> Path:
    """The versions of a table's partitions."""
    return warehouse / ".versions" / table


def state_folder(warehouse: Path, table: str) -> Path:
    """What is known of each partition of a table."""
    return warehouse / ".state" / table


def cursors_folder(warehouse: Path, table: str) -> Path:
    """The cursors of those that follow a table."""
    return warehouse / ".cursors" / table


def ledger_file(warehouse: Path, table: str) -> Path:
    """The ledger of a table."""
    return warehouse / ".ledger" / f"{table}.json"


def lock_file(warehouse: Path, table: str) -> Path:
    """The file whose lock serialises the writers of a table."""
    return warehouse / ".ledger" / f"{table}.lock"


def history_folder(warehouse: Path, table: str) -> Path:
    """The history of a table."""
    return warehouse / HISTORY_FOLDER / table


def tables_with_history(warehouse: Path) -> list[str]:
    """The names of the tables that have a history, sorted."""
    return sorted(path.name for path in (warehouse / HISTORY_FOLDER).glob("*"))


def notices_folder(warehouse: Path, table: str) -> Path:
    """The notices of change of a table."""
    return warehouse / ".changes" / table


def failed_folder(warehouse: Path, table: str) -> Path:
    """The rows of a table that a check refused."""
    return warehouse / ".failed" / table


def hidden_folders(warehouse: Path) -> list[Path]:
    """The folders that nobody but this software writes to."""
    return list(warehouse.glob(".*"))
