"""What the same reload costs elsewhere: in Airflow without the pipeline, in Dagster, SQLMesh and dbt.

    python -m benchmarks.peers.suite [--rounds 3] [--days 60] [--only airflow | installed]

All rewrite the same days of the same rows, which are other ones each round, and so do we and plain DuckDB beside them.
Prints Markdown tables; everything is written below `.local/bench`.
"""

from __future__ import annotations

import argparse
import shutil

from benchmarks.bench_stack import running_pipeline
from benchmarks.figures import Part
from benchmarks.peers import ours
from benchmarks.peers.airflow_peers import DAGS, HOME, TIMED, WRITTEN, airflow_peers
from benchmarks.peers.dagster_peer import dagster_peer
from benchmarks.peers.dbt_peer import dbt_peer
from benchmarks.peers.environments import peer_variables
from benchmarks.peers.readings import DAYS, FOLDER, SHIFT, Span, make_readings
from benchmarks.peers.rounds import time_rounds
from benchmarks.peers.sqlmesh_peer import sqlmesh_peer
from benchmarks.print_part import draw_table

WHOLE = "Times are of whole processes, their start included."


def measure(rounds: int, *, days: int = DAYS) -> Part:
    """The peers that come from the package index; one that cannot be installed has a note and no figure."""
    make_readings()
    span = Span.of(days)
    peers = [ours.command_peer(span), sqlmesh_peer(span), dagster_peer(span), dbt_peer(span)]
    figures, notes = time_rounds(peers, span, rounds=rounds)
    return Part("peers", f"{days} days in SQLMesh, Dagster and dbt", figures, (WHOLE, *notes))


def measure_in_airflow(rounds: int, *, days: int = DAYS) -> Part:
    """The designs that need nothing but Airflow, in an Airflow that is started as the pipeline starts it."""
    make_readings()
    span = Span.of(days)
    shutil.rmtree(WRITTEN, ignore_errors=True)
    ours.lay_out(HOME)
    settings = {
        "RELOADS_SOURCE": str(SHIFT.parent),
        "PEERS_VENVS": str(FOLDER / "article-venvs"),
        **peer_variables(span, WRITTEN),
    }
    with running_pipeline(HOME, settings, more_dags=DAGS) as pipeline:
        peers = [ours.dropped_file_peer(pipeline, span), *airflow_peers(pipeline.rest, span)]
        figures, notes = time_rounds(peers, span, rounds=rounds)
    return Part("peers_airflow", f"{days} days in Airflow, with and without the pipeline", figures, (TIMED, *notes))


PARTS = {"airflow": measure_in_airflow, "installed": measure}


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--only", choices=PARTS)
    arguments = parser.parse_args()
    for name, measure_part in PARTS.items():
        if arguments.only in (None, name):
            print(f"\n{draw_table(measure_part(arguments.rounds, days=arguments.days))}")


if __name__ == "__main__":
    main()
