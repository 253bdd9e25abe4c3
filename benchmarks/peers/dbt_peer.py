"""dbt: a microbatch model on DuckDB, run for the days of a range."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from benchmarks.peers.environments import Project
from benchmarks.peers.readings import Span, table_totals
from benchmarks.peers.rounds import Peer

NOTE = (
    "dbt: `dbt run --event-time-start --event-time-end` of a microbatch model, a batch a day; "
    "it writes a table of a DuckDB database, not Parquet files."
)


def dbt_peer(span: Span) -> Peer:
    """The peer."""
    project = Project("dbt", span)
    settings = {"PEERS_DATABASE": str(project.database), "DBT_PROFILES_DIR": str(project.folder)}
    after = span.last + timedelta(days=1)
    command = ("dbt", "run", "--event-time-start", str(span.first), "--event-time-end", str(after))
    reload = partial(project.run, *command, settings=settings)

    def load() -> None:
        project.lay_out()
        reload()

    return Peer(
        "dbt microbatch",
        NOTE,
        load=load,
        reload=reload,
        totals=lambda: table_totals(project.database, "main.readings"),
    )
