"""Where all that belongs to a table lies: under its name, or in a folder of dropped tables.

    tables/<table>/                                    the definition
    warehouse/<table>/, .log/<table>/, …               what is published, and what is known of it
    warehouse/.cursors/<other>/<table>.json            how far it has followed another table
    landing/.watermarks/<kind>-<table>, .untold/<table>

    tables/.dropped/<table>@<time>/, warehouse/.dropped/…, landing/.dropped/…    the same of a dropped table

Each place of one has its place of the other on the same file system, so a rename takes it there. What a warehouse in an
object store has of a table is no place here: ``warehouse.stored_move`` moves that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reloads.requests.untold import FOLDER as UNTOLD
from reloads.requests.watermark import KINDS, watermark_file
from reloads.settings import Settings
from reloads.stores.address import store_url
from reloads.warehouse.layout import (
    cursors_folder,
    delta_folder,
    dropped_folder,
    failed_folder,
    log_folder,
    state_folder,
    versions_folder,
)


@dataclass(frozen=True)
class Places:
    """The places of one table."""

    definition: Path
    files: dict[str, Path]
    """The other ones that only this table has, by what they hold."""
    follows: Path | None
    """The pattern of its cursors in the logs of other tables: ``*`` stands for the other table. None in a store."""

    def cursors(self) -> Iterator[tuple[str, Path]]:
        """The cursors that it has in the logs of other tables, each with what stands for the ``*``."""
        if self.follows is None:
            return
        parts = self.follows.parts
        star = next(place for place, part in enumerate(parts) if "*" in part)
        before, _, after = parts[star].partition("*")
        for path in sorted(Path(*parts[:star]).glob("/".join(parts[star:]))):
            yield path.parts[star].removeprefix(before).removesuffix(after), path

    def cursor(self, other: str) -> Path:
        """Where its cursor in the log of that table belongs, if it is a file."""
        return Path(str(self.follows).replace("*", other))

    def all(self) -> list[Path]:
        """Those that are there."""
        paths = [self.definition, *self.files.values(), *(path for _, path in self.cursors())]
        return [path for path in paths if path.exists()]


def named_places(settings: Settings, table: str) -> Places:
    """The places of the table of that name."""
    warehouse = settings.warehouse
    files: dict[str, Path] = {"untold": settings.landing / UNTOLD / table}
    for kind in KINDS:
        files[kind] = watermark_file(settings.landing, kind, table)
    if store_url(warehouse):
        return Places(settings.tables / table, files, None)
    files |= {
        "data": warehouse / table,
        "log": log_folder(warehouse, table),
        "versions": versions_folder(warehouse, table),
        "state": state_folder(warehouse, table),
        "cursors": cursors_folder(warehouse, table),
        "failed": failed_folder(warehouse, table),
        "delta": delta_folder(warehouse, table),
    }
    return Places(settings.tables / table, files, cursors_folder(warehouse, "*") / f"{table}.json")


def dropped_places(settings: Settings, dropped: str) -> Places:
    """The places of the dropped table ``<table>@<time>``."""
    warehouse = dropped_folder(settings.warehouse) / dropped
    landing = dropped_folder(settings.landing) / dropped
    definition = dropped_folder(settings.tables) / dropped
    files = {name: landing / name for name in ("untold", *KINDS)}
    if store_url(settings.warehouse):
        return Places(definition, files, None)
    files |= {name: warehouse / name for name in ("data", "log", "versions", "state", "cursors", "failed", "delta")}
    return Places(definition, files, warehouse / "follows" / "*.json")
