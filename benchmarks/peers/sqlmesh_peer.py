"""SQLMesh: an incremental model by time range, restated for the days."""

from __future__ import annotations

from functools import partial

from benchmarks.peers.environments import Project
from benchmarks.peers.readings import Span, table_totals
from benchmarks.peers.rounds import Peer

NOTE = "SQLMesh: `sqlmesh plan --restate-model`; it writes a table of a DuckDB database, not Parquet files."


def sqlmesh_peer(span: Span) -> Peer:
    """The peer."""
    project = Project("sqlmesh", span)
    settings = {"PEERS_DATABASE": str(project.database)}
    plan = ("sqlmesh", "plan", "--auto-apply", "--no-prompts")
    restate = (*plan, "--restate-model", "bench.readings", "--start", str(span.first), "--end", str(span.last))

    def load() -> None:
        project.lay_out()
        project.run(*plan, settings=settings)

    return Peer(
        "SQLMesh restatement",
        NOTE,
        load=load,
        reload=partial(project.run, *restate, settings=settings),
        totals=lambda: table_totals(project.database, "bench.readings"),
    )
