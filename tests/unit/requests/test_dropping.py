"""A program asks by a file, as a person does."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from reloads.errors import OperatorError
from reloads.requests.dropping import drop_request, format_request
from reloads.requests.judgement import read_requests
from reloads.requests.request import parse_request
from reloads.tables.catalog import Catalog

FIELDS = {"table": "flights", "start_date": "2013-01-01", "end_date": "2013-01-05", "exclude_dates": ["2013-01-03"]}


def test_the_file_asks_for_what_the_request_does(catalog: Catalog) -> None:
    request = parse_request(FIELDS | {"reason": "é \u202e\n", "keys": {"a": ["b"]}, "cascade": False})
    assert parse_request(json.loads(format_request(request))) == request
    request = parse_request(FIELDS)
    [asked] = read_requests(format_request(request).encode(), catalog=catalog, today=date(2013, 2, 1))
    assert asked.request == request


def test_what_nobody_said_is_not_written() -> None:
    assert json.loads(format_request(parse_request(FIELDS))) == FIELDS


def test_each_request_gets_a_name_of_its_own_in_a_folder_that_is_made(tmp_path: Path) -> None:
    landing = tmp_path / "home" / "landing"
    names = {drop_request(landing, parse_request(FIELDS), label="page-flights-2013-01-01") for _ in range(20)}
    assert {path.name for path in landing.iterdir()} == names
    assert len(names) == 20
    assert all(name.startswith("page-flights-2013-01-01-") and name.endswith(".json") for name in names)


def test_a_folder_that_cannot_be_written_is_the_operators_to_mend(tmp_path: Path) -> None:
    (tmp_path / "landing").write_text("")
    with pytest.raises(OperatorError, match="cannot be written"):
        drop_request(tmp_path / "landing", parse_request(FIELDS), label="x")
