"""The ledger of a table: for each partition, what its content was made from. ``warehouse/.ledger/<table>.json``.

A partition file is known by its modification time and size, so an entry tells whether it speaks of the file that lies
there now; where it does not, or is missing, the partition counts as stale, which costs a rewrite and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reloads.errors import OperatorError
from reloads.files import write_atomically
from reloads.locks import file_lock
from reloads.warehouse.layout import ledger_file, lock_file
from reloads.warehouse.partition_name import LedgerName, parse_ledger_name


@dataclass(frozen=True)
class Entry:
    """What one partition was made from, as of the last time it was rewritten or found unchanged."""

    version: str
    inputs: Mapping[str, str]
    """Of each input table, a digest of the files that were read."""
    checked_at: str
    rows: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""
    """The run that published the file, which may have found it unchanged since."""
    file: str = ""
    """The identity of the partition's file; empty for a day without one, in a table with keys."""
    content: str = ""
    """The fingerprint of that file's content; empty if it is not known."""


@dataclass(frozen=True)
class Ledger:
    """The entries of a table, and the columns of its files by name."""

    entries: Mapping[LedgerName, Entry] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    """The types of the key columns, which only the folders' names hold."""
    schema_backfill: str = ""
    """The version whose new columns all partitions are still to get, where the table asks for that."""


def read_ledger(warehouse: Path, table: str) -> Ledger:
    """The ledger as it is now; an empty one where there is none, or none that can be understood."""
    try:
        return _parse(json.loads(ledger_file(warehouse, table).read_bytes()))
    except FileNotFoundError:
        return Ledger()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # Everything in it can be found out again.
        return Ledger()
    except OSError as error:
        raise OperatorError(f"{error.filename} cannot be read ({error.strerror}); grant access to it") from error


def _parse(fields: Mapping[str, Any]) -> Ledger:
    entries: dict[LedgerName, Entry] = {}
    for text, entry_fields in fields["entries"].items():
        entry = Entry(**entry_fields)
        if not (isinstance(entry.inputs, dict) and isinstance(entry.parameters, dict)):
            raise TypeError
        entries[parse_ledger_name(text)] = entry
    return Ledger(entries, dict(fields["columns"]), dict(fields["keys"]), str(fields.get("schema_backfill", "")))


def write_ledger(warehouse: Path, table: str, ledger: Ledger) -> None:
    """Replace the ledger; only who holds the table's lock may."""
    fields = {
        "entries": {str(name): asdict(entry) for name, entry in ledger.entries.items()},
        "columns": dict(ledger.columns),
        "keys": dict(ledger.keys),
        "schema_backfill": ledger.schema_backfill,
    }
    write_atomically(ledger_file(warehouse, table), json.dumps(fields, separators=(",", ":")) + "\n")


def table_lock(warehouse: Path, table: str) -> AbstractContextManager[int]:
    """Hold the table's files for oneself: one process at a time changes partitions, history and ledger."""
    return file_lock(lock_file(warehouse, table))
