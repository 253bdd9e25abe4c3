"""Level by level: a request waits while an input of its days is still to be rewritten, so that it is done once.

Only requests that nobody waits for in person do: those of a cascade and of the clock; and one that was dropped in the
same file as the one for its input. Whoever asks for a table alone gets it at once, and again if an input changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from reloads.days import Days
from reloads.lineage import Lineage
from reloads.record import Record


def workable(records: Sequence[Record], *, everything: Sequence[Record], lineage: Lineage) -> list[Record]:
    """Those of ``records`` that have days to be done now, asking for these days only; ``everything`` is outstanding."""
    found = []
    for record in records:
        held = _held(record, everything, lineage)
        if record.outstanding - held:
            found.append(record.model_copy(update={"days": record.days - (record.outstanding & held)}))
    return found


def _held(record: Record, everything: Sequence[Record], lineage: Lineage) -> Days:
    held = Days()
    behind = lineage.behind(record.table, record.outstanding)
    for other in everything:
        if other.table in behind and _waits_for(record, other):
            held |= lineage.ahead(other.table, other.outstanding).get(record.table, Days())
    return held


def _waits_for(record: Record, other: Record) -> bool:
    return record.mode in ("cascade", "daily") or (record.file is not None and record.file == other.file)
