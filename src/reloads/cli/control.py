"""Commands that steer what was asked for: cancel, retry, undo."""

from __future__ import annotations

from typing import Annotated

import typer

from reloads.cli.console import REQUEST, complain, current_settings, current_time, current_user, print_outcome, say
from reloads.requests.control import cancel_request, find_records, retry_request
from reloads.requests.neglect import knock
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.runs.local_run import run_follow_ups_locally
from reloads.runs.undo import undo_request


def cancel(request: REQUEST) -> None:
    """Give up what is outstanding of a request: nothing more of it is published, also by batches that run."""
    for record in cancel_request(Queue(current_settings().landing), request, now=current_time()):
        say(f"cancelled {record.id}: {len(record.cancelled)} days given up, {len(record.published)} published")


def retry(request: REQUEST) -> None:
    """Ask again for what is missing from a failed or cancelled request."""
    for name in retry_request(Queue(current_settings().landing), request):
        say(f"dropped {name}")


def undo(
    request: REQUEST,
    *,
    force: Annotated[bool, typer.Option("--force", help="partitions that a later request rewrote, too")] = False,
    here: Annotated[bool, typer.Option("--here", help="rewrite the tables that follow now, without Airflow")] = False,
) -> None:
    """Put back what a request replaced; the tables that read it follow. It can itself be undone."""
    settings = current_settings()
    queue = Queue(settings.landing)
    records = undo_request(settings, request, force=force, now=current_time(), by=current_user(), say=complain)
    children: list[Record] = []
    for record in records:
        say(f"{record.table}: {record.published} put back by {record.id}")
        for reason in record.skipped:
            say(f"{record.table}: {reason.days} kept, {reason.why}; --force puts that back too")
        for name in record.children:
            children += find_records(queue, name)
    if here:
        print_outcome(run_follow_ups_locally(settings, children, say=complain))
        return
    for child in children:
        say(f"{child.table}: {child.days} will follow, {child.id}")
    knock(queue, children)


COMMANDS = (cancel, retry, undo)
