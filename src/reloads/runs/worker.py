"""One batch in one process: in the task's own, or in a Python of the table's virtual environment.

There ``call_subprocess`` runs this module, as ``python -m reloads.runs.worker``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from reloads.batch import Batch
from reloads.outcome import Outcome
from reloads.requests.batch_notes import BatchNote
from reloads.rewriting.context import Locations, Provenance, Wishes
from reloads.rewriting.engine import Share
from reloads.rewriting.meter import Meter, Report, report_nothing
from reloads.rewriting.rewrite import rewrite_batch
from reloads.rewriting.subprocess_call import answer_call
from reloads.rewriting.time_limit import TimeLimit
from reloads.runs.wanted_days import whom_to_ask
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table


def rewrite_from_json(value: dict[str, Any]) -> dict[str, Any]:
    """Rewrite the batch that a call describes; the outcome as JSON."""
    settings = Settings.model_validate(value["settings"])
    catalog = Catalog.load(settings.tables)
    note = BatchNote(Path(value["note"])) if value["note"] else None
    outcome = rewrite_here(
        settings,
        catalog,
        # The table's own DuckDB may cut its texts into other words, and so give it another version.
        replace(catalog.definition(value["table"]), version=value["version"]),
        Batch.from_json(value["batch"]),
        run=value["run"],
        now=datetime.fromisoformat(value["now"]),
        report=note.write if note else report_nothing,
    )
    if note:
        note.flush()
    return outcome.to_json()


def rewrite_here(
    settings: Settings,
    catalog: Catalog,
    table: Table,
    batch: Batch,
    *,
    run: str,
    now: datetime,
    report: Report = report_nothing,
) -> Outcome:
    """Rewrite one batch in this process, whatever environment its table asks for.

    Of what everybody who wanted it gives up meanwhile nothing is published, if that is seen here. ``report`` is told
    how far it has come.
    """
    wanted = whom_to_ask(settings, table.name, batch)
    return rewrite_batch(
        batch,
        table=table,
        place=Locations(
            settings.warehouse,
            settings.source,
            catalog.all_inputs(table),
            settings.time_zone,
            settings.stable_seconds,
            settings.snapshots,
        ),
        share=Share.of(settings, batches=batch.batch_count),
        provenance=Provenance(run=run, written_at=now),
        wishes=Wishes(
            find_wanted_days=lambda: batch.days - wanted.find_cancelled(batch),
            find_open_days=lambda: wanted.find_open(batch),
            meter=Meter(report),
        ),
        limit=TimeLimit.begin(table.name, batch.minutes),
    )


if __name__ == "__main__":
    answer_call(rewrite_from_json)
