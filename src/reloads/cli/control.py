"""Commands that steer what was asked for: cancel, retry, undo."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer

from reloads.cli.answer import Answer, Column, Grid, Lines, Row, count
from reloads.cli.console import announce, complain, current_settings, current_time, current_user
from reloads.cli.options import REQUEST, TIMEOUT, WAIT, parse_timeout
from reloads.cli.outcome import answer_outcome
from reloads.cli.request_values import counts_of
from reloads.cli.wait import answer_wave
from reloads.errors import ReloadsError
from reloads.inspection.undo_preview import PutBack, UndoPreview, preview_undo
from reloads.requests.control import cancel_request, find_records, retry_request
from reloads.requests.lookup import resolve
from reloads.requests.neglect import knock
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.runs.local_run import run_follow_ups_locally
from reloads.runs.undo import undo_request
from reloads.settings import Settings
from reloads.warehouse.upgrade import open_catalog

PUT_BACK = (
    Column("table"),
    Column("partition"),
    Column("rows now", is_number=True),
    Column("rows then", is_number=True),
)


def cancel(request: REQUEST) -> Answer:
    """Give up what is outstanding of a request.

    Nothing more of it is published, also by batches that run.
    """
    queue = Queue(current_settings().landing)
    cancelled = cancel_request(queue, resolve(queue, request), now=current_time())
    lines: list[str] = []
    for record in cancelled:
        given_up = count(len(record.cancelled), "day")
        lines.append(f"cancelled {record.id}: {given_up} given up, {len(record.published)} published")
    values = [{"id": record.id, "table": record.table, "counts": counts_of(record)} for record in cancelled]
    return Answer({"requests": values}, [Lines(lines)])


def retry(request: REQUEST, *, wait: WAIT = False, timeout: TIMEOUT = None) -> Answer:
    """Ask again for days that failed or were given up."""
    settings, seconds = current_settings(), parse_timeout(timeout, is_waiting=wait)
    queue = Queue(settings.landing)
    names = retry_request(queue, resolve(queue, request))
    if not wait:
        return Answer({"files": names}, [Lines([f"dropped {name}" for name in names])])
    for name in names:
        announce(f"dropped {name}")
    return answer_wave(settings, files=names, timeout=seconds, more={"files": names})


def undo(
    request: REQUEST,
    *,
    force: Annotated[bool, typer.Option("--force", help="partitions that a later request rewrote, too")] = False,
    here: Annotated[bool, typer.Option("--here", help="rewrite the tables that follow now, without Airflow")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what it would put back, and change nothing")] = False,
    wait: WAIT = False,
    timeout: TIMEOUT = None,
) -> Answer:
    """Put back what a request replaced.

    The tables that read it follow. An undo can itself be undone.
    """
    settings, seconds = current_settings(), parse_timeout(timeout, is_waiting=wait)
    queue = Queue(settings.landing)
    request = resolve(queue, request)
    if dry_run:
        return _answer_preview(preview_undo(settings, open_catalog(settings), request, force=force))
    back = _look_ahead(settings, request, force=force)
    records = undo_request(settings, request, force=force, now=current_time(), by=current_user(), say=complain)
    children: list[Record] = []
    lines: list[str] = []
    for record in records:
        lines += _describe_undo(record, [each for each in back if each.table == record.table])
        for name in record.children:
            children += find_records(queue, name)
    value: dict[str, Any] = {"undone": [_undo_values(record) for record in records]}
    if here:
        followed = run_follow_ups_locally(settings, children, clock=current_time, say=complain)
        return answer_outcome(followed, before=lines, more=value)
    for child in children:
        lines.append(f"{child.table}: {child.days} will follow, {child.id}")
    knock(queue, children)
    if wait and children:
        for line in lines:
            announce(line)
        return answer_wave(settings, ids=[child.id for child in children], timeout=seconds, more=value)
    value["follow"] = [{"id": child.id, "table": child.table, "days": child.days} for child in children]
    return Answer(value, [Lines(lines)])


def _describe_undo(record: Record, back: Sequence[PutBack]) -> list[str]:
    removed = sum(each.rows_after is None for each in back)
    acts = [f"{count(len(back) - removed, 'partition')} put back"] if len(back) > removed else []
    acts += [f"{count(removed, 'partition')} removed, as nothing was there before"] if removed else []
    done = " and ".join(acts) if back else "put back"
    lines = [f"{record.table}: {done} ({record.published}), by {record.id}"]
    for reason in record.skipped:
        lines.append(f"{record.table}: {reason.days} kept, {reason.why}; --force puts that back too")
    return lines


def _look_ahead(settings: Settings, request: str, *, force: bool) -> list[PutBack]:
    """What an undo puts back, looked at before; for its words only, so none where that cannot be told."""
    with suppress(ReloadsError):
        return preview_undo(settings, open_catalog(settings), request, force=force).back
    return []


def _undo_values(record: Record) -> dict[str, Any]:
    skipped = [{"days": reason.days, "why": reason.why} for reason in record.skipped]
    return {"id": record.id, "table": record.table, "put_back": record.published, "kept": skipped}


def _answer_preview(preview: UndoPreview) -> Answer:
    rows: list[Row] = []
    for back in preview.back:
        act = "it is removed, as it did not exist before" if back.rows_after is None else "it is put back"
        rows.append(Row((back.table, back.partition, back.rows_now, back.rows_after), (act,)))
    for later in preview.later:
        rows.append(Row((later.table, later.partition, None, None), (f"kept: {later.request} rewrote it later",)))
    for partition in preview.expired:
        rows.append(Row((None, partition, None, None), ("lost: what was replaced is not kept any more",)))
    sentence = preview.sentence or f"{count(len(preview.back), 'partition')} would be put back or removed"
    value = {
        "put_back": [vars(back) for back in preview.back],
        "kept": [vars(later) for later in preview.later],
        "expired": preview.expired,
        "sentence": preview.sentence,
    }
    return Answer(value, [Grid(PUT_BACK, rows), Lines([sentence])])


COMMANDS = {
    cancel: [("cancel march", "by the beginning of its id"), ("cancel march.json", "by the file that was dropped")],
    retry: [("retry march --wait", "ask again for what failed, and follow it")],
    undo: [
        ("undo march --dry-run", "what would be put back?"),
        ("undo march --wait", "put it back, and follow the tables that read it"),
    ],
}
