"""How the end of requests is told: what was published of each, and what was not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reloads.cli.answer import Answer, Lines, count, duration, megabytes
from reloads.cli.console import complain
from reloads.cli.exit_codes import Exit
from reloads.cli.request_values import elapsed_seconds, ended_state, request_values
from reloads.outcome import CheckResult
from reloads.planning.standing import describe_ended
from reloads.requests.record import Record


def answer_outcome(
    records: Sequence[Record], *, before: Sequence[str] = (), more: dict[str, Any] | None = None
) -> Answer:
    """What came of the requests, behind some lines; exit code 1 if a day failed or was given up.

    Warnings and failures go to standard error.
    """
    lines = list(before)
    values: list[dict[str, Any]] = []
    for record in records:
        lines.append(describe_outcome(record))
        checks = [_check_values(each) for each in record.checks]
        values.append(request_values(record, ended_state(record), describe_ended(record)) | {"checks": checks})
        for result in record.checks:
            if result.severity == "warn":
                complain(f"{record.table}: warning: {result.sentence()}")
        for failure in record.failed:
            complain(f"{record.table} {failure.days}: {failure.error}")
    is_bad = any(record.failed or record.cancelled for record in records)
    return Answer({**(more or {}), "requests": values}, [Lines(lines)], Exit.FAILED if is_bad else Exit.DONE)


def describe_outcome(record: Record) -> str:
    """What came of one request, in a line; the seconds are those from its acceptance to its end."""
    size = f"{count(record.rows, 'row')}, {megabytes(record.bytes)}"
    counts = {
        "unchanged": len(record.unchanged),
        "skipped": len(record.skipped_days),
        "failed": len(record.failed_days),
        "given up": len(record.cancelled),
    }
    details = "".join(f", {number} {name}" for name, number in counts.items() if number)
    seconds = elapsed_seconds(record)
    took = "" if seconds is None else f", in {duration(seconds)}"
    return f"{record.table}: {count(len(record.published), 'day')} published{details}, {size}{took}"


def _check_values(result: CheckResult) -> dict[str, Any]:
    fields = {"check": result.check, "severity": result.severity, "days": result.days, "rows": result.rows}
    return fields | {"sentence": result.sentence()}
