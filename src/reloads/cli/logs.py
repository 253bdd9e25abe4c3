"""``reloads logs``: the runs of a request, and what their tasks wrote into their logs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from reloads.cli.answer import Answer, Block, Facts, Lines
from reloads.cli.console import announce, current_settings, current_time, session
from reloads.cli.options import REQUEST
from reloads.cli.screen import format_time
from reloads.cli.wait import LOOK_EVERY_SECONDS
from reloads.inspection.task_logs import LogLine, TaskLog, find_log_folder, find_task_logs, read_lines, run_url
from reloads.requests.control import find_records
from reloads.requests.lookup import resolve
from reloads.requests.progress import with_progress
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Settings


def logs(
    request: REQUEST,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="print what is added until the request ends")] = False,
    everything: Annotated[bool, typer.Option("--all", help="also what Airflow says of each task")] = False,
) -> Answer | None:
    """Show the runs of a request and their tasks' logs.

    The logs are read from Airflow's log folder: AIRFLOW__LOGGING__BASE_LOG_FOLDER, that of make up, or AIRFLOW_HOME.
    """
    settings = current_settings()
    queue = Queue(settings.landing)
    if follow and session.as_json:
        raise typer.BadParameter("--follow has no end, so it goes without --json; leave one of them out")
    name = resolve(queue, request)
    folder = find_log_folder(settings, os.environ)
    if follow:
        _follow(settings, queue, name, folder, everything=everything)
        return None
    blocks: list[Block] = []
    values: list[dict[str, Any]] = []
    for record in with_progress(settings.landing, find_records(queue, name), now=current_time()):
        runs = [_read_run(record, run, folder, everything=everything) for run in _runs_of(record)]
        location = queue.find(record.id)
        values.append({"id": record.id, "state": location.state if location else None, "runs": runs})
        blocks.append(Facts([("request", record.id), ("state", location.state if location else None)]))
        for run in runs:
            blocks += _run_blocks(run)
        if not runs:
            blocks.append(Lines([f"no run has ended a day of it, or works at it; reloads status {record.id} says why"]))
    return Answer({"requests": values}, blocks)


def _runs_of(record: Record) -> list[str]:
    runs = [*record.runs, *([record.progress.run] if record.progress else [])]
    return list(dict.fromkeys(runs))


def _read_run(record: Record, run: str, folder: Path | None, *, everything: bool) -> dict[str, Any]:
    """A run: what there is of it, or a sentence that says what is missing."""
    dag = current_settings().names.rewrite_dag(record.table)
    url = run_url(os.environ, dag, run)
    found = find_task_logs(folder, dag, run) if folder else []
    tasks = [_task_values(log, everything=everything) for log in found]
    sentence = None if tasks else _describe_absence(dag, run, folder, url)
    return {"run": run, "dag": dag, "url": url, "tasks": tasks, "sentence": sentence}


def _describe_absence(dag: str, run: str, folder: Path | None, url: str | None) -> str:
    if "/" in run:
        return "it was no run of Airflow: a command did it, and printed what it did"
    where = f"at {url}" if url else f"in Airflow, as a run of {dag}"
    if folder is None:
        return f"Airflow's log folder is not here; set AIRFLOW__LOGGING__BASE_LOG_FOLDER to it, or look {where}"
    return f"{folder} has no logs of this run; they are where its tasks ran: look {where}"


def _task_values(log: TaskLog, *, everything: bool) -> dict[str, Any]:
    lines = read_lines(log.path.read_text(encoding="utf-8", errors="replace"))
    values = [vars(line) for line in lines if everything or line.is_news]
    return {"task": log.task, "map_index": log.map_index, "attempt": log.attempt, "path": log.path, "lines": values}


def _run_blocks(run: dict[str, Any]) -> Iterator[Block]:
    yield Facts([("run", run["run"]), ("dag", run["dag"]), ("url", run["url"])])
    if run["sentence"]:
        yield Lines([run["sentence"]])
    for task in run["tasks"]:
        log = TaskLog(task["path"], task["task"], task["map_index"], task["attempt"])
        yield Lines([_format(log, LogLine(**line)) for line in task["lines"]])


def _format(log: TaskLog, line: LogLine) -> str:
    at = format_time(line.at, session.zone) if line.at else ""
    return "  ".join(text for text in (log.label, at, line.level, line.text) if text)


def _follow(settings: Settings, queue: Queue, name: str, folder: Path | None, *, everything: bool) -> None:
    """Print each line once, until no request of that name is open and a last look found nothing new."""
    read: dict[Path, int] = {}
    while True:
        records = with_progress(settings.landing, find_records(queue, name), now=current_time())
        is_open = any(record.outstanding for record in records)
        is_new = _print_new(records, folder, read, everything=everything)
        if not is_open and not is_new:
            return
        time.sleep(LOOK_EVERY_SECONDS)


def _print_new(records: Sequence[Record], folder: Path | None, read: dict[Path, int], *, everything: bool) -> bool:
    """Print what was added to the logs; whether there was anything."""
    is_new, names = False, current_settings().names
    for record in records:
        for run in _runs_of(record):
            for log in find_task_logs(folder, names.rewrite_dag(record.table), run) if folder else ():
                with log.path.open("rb") as file:
                    file.seek(read.get(log.path, 0))
                    added = file.read()
                # The last line may still be written.
                whole = added[: added.rfind(b"\n") + 1]
                read[log.path] = read.get(log.path, 0) + len(whole)
                for line in read_lines(whole.decode("utf-8", "replace")):
                    if everything or line.is_news:
                        announce(_format(log, line))
                is_new = is_new or bool(whole)
    return is_new


COMMANDS = {
    logs: [("logs march", "what did the tasks of its runs say?"), ("logs march --follow", "and go on while it runs")]
}
