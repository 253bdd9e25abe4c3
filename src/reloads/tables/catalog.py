"""All tables of a folder at once: those that can be loaded, and for each of the rest the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from reloads.errors import RequestError, TableError, one_line
from reloads.tables.definition import Shared, Table, load_table
from reloads.tables.lineage import Lineage

SHOWN_NAMES = 10
"""As many names as fit into a sentence."""

SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Catalog:
    """The tables that can be asked for, and the error of each folder that defines none."""

    tables: dict[str, Table]
    broken: dict[str, TableError]

    @classmethod
    def load(cls, folder: Path) -> Catalog:
        """Read every table folder; one broken table does not hide the others."""
        tables: dict[str, Table] = {}
        broken: dict[str, TableError] = {}
        shared = Shared.read(folder)
        for name in shared.names:
            try:
                tables[name] = load_table(folder, name, shared=shared)
            except TableError as error:
                broken[name] = error
        for name, cycle in Lineage({name: table.inputs for name, table in tables.items()}).cycles().items():
            path = " reads ".join(cycle)
            broken[name] = TableError(f"{folder / name}: {path}, a circle that no order can load; break it")
            del tables[name]
        return cls(tables, broken)

    @property
    def lineage(self) -> Lineage:
        """Who reads whom among the good tables."""
        return Lineage({name: table.inputs for name, table in self.tables.items()})

    def has(self, name: str) -> bool:
        """Whether there is a folder of that name, be it good or broken."""
        return name in self.tables or name in self.broken

    def definition(self, name: str) -> Table:
        """The table whose run this is; raises the folder's own ``TableError`` if it is broken."""
        if name in self.broken:
            raise self.broken[name]
        return self[name]

    def is_loadable(self, name: str) -> bool:
        """Whether there is a good table of that name, and all that it reads is good."""
        if name not in self.tables:
            return False
        try:
            self.all_inputs(self.tables[name])
        except TableError:
            return False
        return True

    def all_inputs(self, table: Table) -> dict[str, Table]:
        """The tables that ``table`` reads, directly or through others, by name; ``TableError`` if one is broken."""
        inputs: dict[str, Table] = {}
        names = list(table.inputs)
        while names:
            name = names.pop()
            if name not in inputs:
                inputs[name] = self.definition(name)
                names += inputs[name].inputs
        return inputs

    def __getitem__(self, name: str) -> Table:
        """The table of that name.

        Raises ``TableError`` for a broken folder, because a request for it becomes good once the folder is mended, and
        for an unknown name ``RequestError``, which lists the tables there are, nearest name first.
        """
        if name in self.tables:
            return self.tables[name]
        if name in self.broken:
            raise TableError(f"table '{name}' is broken ({one_line(self.broken[name])}); mend its folder")
        # A request may hold a megabyte for a name, and to compare that with each table's name takes 0.1 s.
        start = name[:SHOWN_CHARACTERS]
        shown = repr(start) + ("…" if len(name) > SHOWN_CHARACTERS else "")
        raise RequestError(f"table {shown} is unknown; known tables are {self._list_nearest(start) or 'none yet'}")

    def _list_nearest(self, name: str) -> str:
        nearest = sorted(self.tables, key=lambda table: SequenceMatcher(None, table, name).ratio(), reverse=True)
        names = ", ".join(nearest[:SHOWN_NAMES])
        return f"{names}, …" if len(nearest) > SHOWN_NAMES else names
