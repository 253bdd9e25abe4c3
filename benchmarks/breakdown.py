"""Where the time of a day's and of a year's reload goes, from the drop of the file to its record in `done/`.

    python -m benchmarks.breakdown [--rounds 3]

By the times that Airflow, the tasks' logs, the outcome of the batch and the file system keep. Each stage begins when
the one before it ended, so that they add up.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from benchmarks.bench_stack import changed_at, running_pipeline, wait_for_idle
from benchmarks.figures import Figure, Part
from benchmarks.print_part import run_alone
from benchmarks.readings import BENCH, FIRST_DAY, LAST_DAY, lay_out, shift
from reloads.requests.record import Record
from tests.support.pipeline import Pipeline

HOME = BENCH / "breakdown"
REQUESTS: Mapping[str, Mapping[str, str]] = {
    "a day": {"table": "small", "start_date": "2025-03-01"},
    "a year": {"table": "readings", "start_date": str(FIRST_DAY), "end_date": str(LAST_DAY)},
}
IMPORTED = "::endgroup::"
"""What a task's log says once its process has read the DAG file and is about to call our code."""
PLANNED = re.compile(r"\w+: [\d,]+ days in 1 batches")
"""And what it says once the run is planned."""
STEPS = {
    "start": ("starting",),
    "read and write": ("reading", "writing"),
    "check": ("checking",),
    "compare": ("comparing",),
    "publish": ("publishing",),
}
"""The stages of a batch, by the steps that its outcome tells of; DuckDB writes while it reads."""
TOTAL = "all"


def measure(rounds: int) -> Part:
    """The stages of each request, changed in each of the rounds."""
    lay_out(HOME)
    stages: dict[str, dict[str, list[float]]] = {}
    with running_pipeline(HOME) as pipeline:
        for number in range(rounds + 1):
            for kind, request in REQUESTS.items():
                shift(HOME, number + 1)
                begun, record = _ask(pipeline, f"{kind.replace(' ', '-')}-{number}", request)
                # The first is a first load, of several batches, in an Airflow that has just started.
                if number:
                    for stage, value in _stages(_read_times(pipeline, record, begun)).items():
                        stages.setdefault(kind, {}).setdefault(stage, []).append(value)
    figures: list[Figure] = []
    for kind, values_by_stage in stages.items():
        total = f"{kind}: {TOTAL}"
        for stage, values in values_by_stage.items():
            reference = total if stage != TOTAL else ""
            figures.append(Figure(f"{kind}: {stage}", tuple(values), reference=reference))
    note = "One task takes the request, and one does all the rest of it."
    return Part("breakdown", "Where the time goes", tuple(figures), (note,))


def _ask(pipeline: Pipeline, name: str, request: Mapping[str, str]) -> tuple[float, Record]:
    """Drop the request, and wait for its end; when it was dropped, and its record."""
    wait_for_idle(pipeline)
    time.sleep(1)
    begun = time.time()
    pipeline.drop(f"{name}.json", **request)
    [record] = pipeline.wait_for_done(f"{name}.json")
    wait_for_idle(pipeline)
    return begun, record


def _read_times(pipeline: Pipeline, record: Record, begun: float) -> dict[str, float]:
    """When each stage ended, by its name, in order."""
    rest = pipeline.rest
    intake, run = rest.runs("request_partitions")[-1], record.runs[-1]
    [request] = [
        task for task in rest.tasks("request_partitions", intake["dag_run_id"]) if task["task_id"] == "request"
    ]
    tasks = rest.tasks(f"rewrite_{record.table}", run)
    [plan] = [task for task in tasks if task["task_id"] == "plan"]
    times = {"drop": begun, "the file is noticed, an event wakes the first DAG": _time(intake["run_after"])}
    times["Airflow starts the run and its task"] = _time(request["start_date"])
    times["request: process, imports"] = _called_at(pipeline, request)
    times["request: accept and announce"] = _time(request["end_date"])
    times["Airflow starts the table's run"] = _time(plan["start_date"])
    times["table: process, imports"] = _called_at(pipeline, plan)
    times["table: plan"] = published = _planned_at(pipeline, plan)
    seconds = _seconds_by_step(pipeline, plan)
    for stage, steps in STEPS.items():
        published += sum(seconds.get(step, 0) for step in steps)
        times[f"table: {stage}"] = published
    times["table: settle, to the record in done/"] = changed_at(pipeline.landing / "done" / f"{record.id}.json")
    return times


def _stages(times: Mapping[str, float]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for (_, before), (stage, at) in pairwise(times.items()):
        seconds[stage] = at - before
    ends = list(times.values())
    return seconds | {TOTAL: ends[-1] - ends[0]}


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _log(pipeline: Pipeline, task: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    run = quote(task["dag_run_id"], safe="")
    path = f"/dags/{task['dag_id']}/dagRuns/{run}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
    return list(pipeline.rest.get(path, map_index=task["map_index"])["content"])


def _called_at(pipeline: Pipeline, task: Mapping[str, Any]) -> float:
    """When the task's process called our code."""
    # The group before it, of where the log comes from, has no times.
    lines = [line for line in _log(pipeline, task) if line.get("timestamp") and line["event"].startswith(IMPORTED)]
    return _time(lines[0]["timestamp"])


def _planned_at(pipeline: Pipeline, task: Mapping[str, Any]) -> float:
    """When the task had planned the run, of one batch."""
    lines = [line for line in _log(pipeline, task) if PLANNED.match(line["event"])]
    return _time(lines[0]["timestamp"])


def _seconds_by_step(pipeline: Pipeline, task: Mapping[str, Any]) -> dict[str, float]:
    run = quote(task["dag_run_id"], safe="")
    path = f"/dags/{task['dag_id']}/dagRuns/{run}/taskInstances/{task['task_id']}/xcomEntries/outcome"
    outcome = pipeline.rest.get(path, map_index=task["map_index"], deserialize=True)["value"]
    return {step: float(seconds) for step, seconds in outcome["seconds_by_step"].items()}


if __name__ == "__main__":
    run_alone(measure, __doc__)
