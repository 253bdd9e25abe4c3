"""Airflow without the pipeline: a virtual environment a day, a task a day, and a run a day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.readings import FOLDER, Span, Totals, file_totals
from benchmarks.peers.rounds import NotInstalledError, Peer
from benchmarks.readings import CLONE
from stack.waiting import wait_until
from tests.support.rest import Rest

TIMED = (
    "Times in Airflow are from the call of its REST API that starts a run, or a backfill, until no run of the DAG is "
    "queued or running, by a look every 0.2 s."
)
ARTICLE_NOTE = (
    "The article's design is one mapped `@task.virtualenv` a day. Its environment is built before the first round, and "
    "every task finds it again, so no round pays for building it."
)
MAPPED_NOTE = "A mapped task a day is the same with a plain `@task`."
BACKFILL_NOTE = "`airflow backfill` has ten runs at once at most, which is its default."
ARTICLE, MAPPED, BACKFILL = "peers_article", "peers_mapped", "peers_backfill"
PATIENCE_SECONDS = 600
EVERY_SECONDS = 0.2
HOME, WRITTEN = FOLDER / "airflow", FOLDER / "airflow-warehouse"
DAGS = Path(__file__).parent / "dags"
LOGS = (HOME / ".local").relative_to(CLONE)


def airflow_peers(rest: Rest, span: Span) -> list[Peer]:
    """The three, in an Airflow that has read their DAGs."""
    airflow = Airflow(rest)
    _await(airflow.has_read_the_dags, "the DAGs of the peers are read")

    def run_article() -> None:
        airflow.run(ARTICLE, span)

    def load_article() -> None:
        try:
            run_article()
        except RunFailedError as error:
            # Its tasks are the ones that install something.
            raise NotInstalledError(str(error)) from error

    def run_mapped() -> None:
        airflow.run(MAPPED, span)

    def backfill() -> None:
        airflow.backfill(BACKFILL, span)

    def await_no_backfill() -> None:
        _await(lambda: airflow.has_no_backfill(BACKFILL), "the last backfill is over")

    return [
        Peer("the article's design", ARTICLE_NOTE, load_article, run_article, lambda: _totals(ARTICLE)),
        Peer("a mapped task a day", MAPPED_NOTE, run_mapped, run_mapped, lambda: _totals(MAPPED)),
        Peer(
            "`airflow backfill`",
            BACKFILL_NOTE,
            backfill,
            backfill,
            lambda: _totals(BACKFILL),
            await_no_backfill,
        ),
    ]


class RunFailedError(SystemExit):
    """A run of a peer's DAG failed; where nobody knows better, that ends the benchmark."""


@dataclass(frozen=True)
class Airflow:
    """The peers' DAGs, by the REST API."""

    rest: Rest

    def has_read_the_dags(self) -> bool:
        """Whether all three can be started; raises ``SystemExit`` with the reason if one cannot be read."""
        if errors := self.rest.get("/importErrors")["import_errors"]:
            raise SystemExit(f"{errors[0]['filename']} cannot be read; mend what it says: {errors[0]['stack_trace']}")
        dags = {dag["dag_id"] for dag in self.rest.get("/dags", limit=100)["dags"] if not dag["is_stale"]}
        return dags >= {ARTICLE, MAPPED, BACKFILL}

    def run(self, dag_id: str, span: Span) -> None:
        """Have one run rewrite the days; returns when it has ended."""
        self.rest.trigger(dag_id, start_date=str(span.first), end_date=str(span.last))
        self._await_end(dag_id)

    def backfill(self, dag_id: str, span: Span) -> None:
        """Have a run for each day rewrite it; returns when all have ended."""
        days = {"from_date": f"{span.first}T00:00:00Z", "to_date": f"{span.last}T00:00:00Z"}
        self.rest.post("/backfills", {"dag_id": dag_id, **days, "reprocess_behavior": "completed"})
        self._await_end(dag_id)

    def has_no_backfill(self, dag_id: str) -> bool:
        """Whether Airflow would take a backfill: it looks every 30 s which are over, and takes no second one."""
        return all(backfill["completed_at"] for backfill in self.rest.get("/backfills", dag_id=dag_id)["backfills"])

    def _await_end(self, dag_id: str) -> None:
        _await(lambda: not self._count(dag_id, "queued") and not self._count(dag_id, "running"), f"{dag_id} has ended")
        if self._count(dag_id, "failed"):
            raise RunFailedError(f"a run of {dag_id} failed; read the logs of its tasks in {LOGS}")

    def _count(self, dag_id: str, state: str) -> int:
        return int(self.rest.get(f"/dags/{dag_id}/dagRuns", state=state, limit=1)["total_entries"])


def _await(is_so: Callable[[], bool], what: str) -> None:
    if not wait_until(is_so, seconds=PATIENCE_SECONDS, every=EVERY_SECONDS):
        raise SystemExit(f"it is not so after {PATIENCE_SECONDS} s that {what}; read the logs in {LOGS}")


def _totals(dag_id: str) -> Totals:
    return file_totals(WRITTEN / dag_id)
