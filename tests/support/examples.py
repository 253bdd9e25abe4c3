"""The requests in landing/examples, dropped as a newcomer drops them."""

from __future__ import annotations

import json
from pathlib import Path

from reloads.requests.record import Record
from tests.support.clone import CLONE
from tests.support.pipeline import Pipeline

EXAMPLES = tuple(sorted((CLONE / "landing" / "examples").glob("*.json")))


def drop_example(pipeline: Pipeline, example: Path) -> None:
    """Drop a copy; fails unless all it asks for, and all that follows from it, is done and its days are there."""
    earlier = {record.id for record in pipeline.records("failed")}
    text = example.read_text()
    tables = _tables_of(text)
    pipeline.drop_text(example.name, text)

    records = pipeline.wait_for_end(example.name, records=len(tables))
    assert not _errors_of(records), _errors_of(records)
    assert sorted(record.table for record in records) == sorted(tables), records
    assert {record.id for record in records} <= {record.id for record in pipeline.records("done")}
    for record in records:
        assert record.fulfilled == record.days, record.describe_progress()
        assert record.rows > 0, record.describe_progress()

    pipeline.wait_for_end_of_work()
    failed = [record for record in pipeline.records("failed") if record.id not in earlier]
    assert not failed, _errors_of(failed)


def _tables_of(text: str) -> list[str]:
    """The table of each record that comes of the file: it holds one request or a list, each for one table or a list."""
    content = json.loads(text)
    tables: list[str] = []
    for request in content if isinstance(content, list) else [content]:
        named = request["table"]
        tables += named if isinstance(named, list) else [named]
    return tables


def _errors_of(records: list[Record]) -> list[str]:
    errors: list[str] = []
    for record in records:
        errors += [f"{record.table} {failure.days}: {failure.error}" for failure in record.failed]
    return errors
