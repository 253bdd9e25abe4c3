"""Dagster: a daily-partitioned asset whose backfills are a single run, materialized for a range of days."""

from __future__ import annotations

from functools import partial

from benchmarks.peers.environments import Project
from benchmarks.peers.readings import Span, file_totals
from benchmarks.peers.rounds import Peer

NOTE = "Dagster: `dagster asset materialize --partition-range`, one run, whose asset does one COPY of all its days."


def dagster_peer(span: Span) -> Peer:
    """The peer."""
    project = Project("dagster", span)
    days = f"{span.first}...{span.last}"
    command = ("dagster", "asset", "materialize", "-f", "definitions.py", "--select", "readings", "--partition-range")
    reload = partial(project.run, *command, days, settings={"DAGSTER_HOME": str(project.folder)})

    def load() -> None:
        project.lay_out()
        reload()

    return Peer("Dagster", NOTE, load=load, reload=reload, totals=lambda: file_totals(project.target))
