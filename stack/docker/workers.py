"""Workers beside the scheduler, in containers that stand for other machines: how many, and of which kind.

`.env` says so, as it says all that a deployment decides, so `docker compose` by hand and the next `make stack` find it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stack.docker.env_file import read_values, write_values

SERVICES = {"celery": ("worker", "redis"), "edge": ("edge-worker",)}
"""The services of each kind, which are a profile of docker-compose.yaml; a worker is the first of them."""

EXECUTORS = {"celery": "CeleryExecutor", "edge": "airflow.providers.edge3.executors.EdgeExecutor"}
"""The executors as Airflow's setting and its tasks name them."""

QUEUE = "rewrite"
TASKS_OF_A_WORKER = 2
SPARE_SLOTS = 2
"""For the short tasks that take requests, plan and settle."""


@dataclass(frozen=True)
class Workers:
    """So many workers of one kind; none leaves all tasks to the scheduler's container."""

    count: int
    kind: str = "celery"

    def variables(self, *, tasks_each: int) -> dict[str, str]:
        """What `.env` says of them; an empty value counts as not given."""
        slots = self.count * tasks_each
        values = {
            "COMPOSE_PROFILES": self.kind,
            "WORKERS": str(self.count),
            "WORKERS_EXECUTOR": EXECUTORS[self.kind],
            "WORKERS_QUEUE": QUEUE,
            "TASKS_OF_A_WORKER": str(tasks_each),
            "WORKERS_SLOTS": str(slots),
            "SLOTS_OF_ALL": str(slots + SPARE_SLOTS),
            "EDGE_API": str(self.kind == "edge"),
        }
        return values if self.count else dict.fromkeys(values, "")

    def write(self, path: Path) -> None:
        """Put them into ``.env``; all else in it stays as it is."""
        tasks_each = int(read_values(path).get("WORKER_TASKS") or TASKS_OF_A_WORKER)
        write_values(path, self.variables(tasks_each=tasks_each))
