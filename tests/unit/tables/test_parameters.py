"""Parameters: declared with type and bounds, given by a request, read by the query."""

from __future__ import annotations

import tomllib
from datetime import date
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reloads.errors import RequestError
from reloads.tables.parameters import Parameter, parse_parameters, with_defaults
from tests.support.chain import Chain

INTEGER = Parameter(type="integer", default=10, min=1, max=100)
DECLARED = {
    "size": INTEGER,
    "share": Parameter(type="number", default=0.5, min=0, max=1),
    "name": Parameter(type="text", default="x", choices=["x", "y"]),
    "exact": Parameter(type="boolean", default=False),
    "since": Parameter(type="date", default=date(2025, 1, 1), min=date(2024, 1, 1)),
}


def parse(**values: Any) -> dict[str, Any]:
    return parse_parameters(values, DECLARED, table="sales")


# declaring


@pytest.mark.parametrize(
    ("toml", "rule"),
    [
        pytest.param("type = 'integer'", "Field required", id="no default"),
        pytest.param("type = 'int'\ndefault = 1", "Input should be 'integer'", id="unknown type"),
        pytest.param("type = 'integer'\ndefault = 'x'", "the default 'x' is not an integer; write one", id="text"),
        pytest.param("type = 'integer'\ndefault = true", "default True is not an integer; write", id="boolean"),
        pytest.param(
            "type = 'integer'\ndefault = 0\nmin = 1", "the default 0 is less than 1; write 1 or", id="too low"
        ),
        pytest.param(
            "type = 'integer'\ndefault = 3\nmax = 2", "the default 3 is more than 2; write 2 or", id="too high"
        ),
        pytest.param("type = 'text'\ndefault = 'z'\nchoices = ['x']", "the default 'z' is none of x", id="no choice"),
        pytest.param("type = 'text'\ndefault = 'z'\nmin = 1", "the bound 1 is not a text; write one", id="text bound"),
        pytest.param("type = 'integer'\ndefault = 1\nmin = 2025-01-01", "the bound datetime.date", id="day as a bound"),
        pytest.param("type = 'boolean'\ndefault = true\nmax = 1", "the bound 1 is not a boolean", id="boolean bound"),
        pytest.param("type = 'integer'\ndefault = 1\nunit = 's'", "Extra inputs are not permitted", id="stranger"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_rule(toml: str, rule: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Parameter.model_validate(tomllib.loads(toml))
    assert rule in str(refused.value)


@pytest.mark.parametrize(
    "toml",
    [
        "type = 'integer'\ndefault = 1\nmin = 1\nmax = 1",
        "type = 'number'\ndefault = 1\nmin = 0.5",
        "type = 'date'\ndefault = 2025-01-01\nmin = 2025-01-01\nmax = 2025-12-31",
        "type = 'text'\ndefault = 'x'\nchoices = ['x', 'y']",
        "type = 'boolean'\ndefault = true",
    ],
)
def test_a_good_declaration_is_kept(toml: str) -> None:
    fields = tomllib.loads(toml)
    assert Parameter.model_validate(fields).default == fields["default"]


# giving


def test_a_value_is_taken_as_it_is_and_a_date_from_its_text() -> None:
    values: dict[str, Any] = {"size": 5, "share": 1, "name": "y", "exact": True, "since": "2025-06-01"}
    assert parse(**values) == values | {"since": date(2025, 6, 1)}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"size": 0}, "the parameter 'size' 0 is less than 1; write 1 or more"),
        ({"size": 101}, "the parameter 'size' 101 is more than 100; write 100 or less"),
        ({"size": 5.0}, "the parameter 'size' 5.0 is not an integer; write one"),
        ({"size": "5"}, "the parameter 'size' '5' is not an integer; write one"),
        ({"size": True}, "the parameter 'size' True is not an integer; write one"),
        ({"size": None}, "the parameter 'size' None is not an integer; write one"),
        ({"size": 2**63}, f"the parameter 'size' {2**63} is not an integer; write one"),
        ({"share": float("nan")}, "the parameter 'share' nan is not a number; write one"),
        ({"share": float("inf")}, "the parameter 'share' inf is not a number; write one"),
        ({"share": [1]}, "the parameter 'share' [1] is not a number; write one"),
        ({"name": "z"}, "the parameter 'name' 'z' is none of x, y; write one of them"),
        ({"exact": 1}, "the parameter 'exact' 1 is not a boolean; write one"),
        ({"since": "1.6.2025"}, "the parameter 'since' '1.6.2025' is not a day of the form YYYY-MM-DD"),
        ({"since": "2023-12-31"}, "the parameter 'since' '2023-12-31' is less than 2024-01-01"),
        ({"since": 20250101}, "the parameter 'since' 20250101 is not a date; write one"),
        ({"colour": 1}, "'sales' has no parameter 'colour'; it declares size, share, name, exact, since"),
        ({"name": "z" * 10**6}, "is none of x, y; write one of them"),
    ],
)
def test_a_wrong_value_is_refused_with_value_rule_and_cure(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse(**values)
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_table_that_declares_none_takes_none() -> None:
    with pytest.raises(RequestError, match="'sales' has no parameter 'size'; it declares none"):
        parse_parameters({"size": 1}, {}, table="sales")
    assert parse_parameters({}, {}, table="sales") == {}


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), st.text(), st.dates()))
def test_whatever_is_given_is_within_the_bounds_or_refused(value: object) -> None:
    try:
        parsed = INTEGER.parse(value, name="size")
    except RequestError:
        return
    assert type(parsed) is int
    assert 1 <= parsed <= 100


# defaults


def test_what_is_not_given_has_its_default() -> None:
    values = with_defaults({"size": 5}, DECLARED)
    assert values == {"size": 5, "share": 0.5, "name": "x", "exact": False, "since": date(2025, 1, 1)}


def test_a_date_that_went_through_json_is_a_date_again() -> None:
    assert with_defaults({"since": "2025-06-01"}, DECLARED)["since"] == date(2025, 6, 1)


# the query


def test_the_query_reads_the_values_given_and_the_defaults_of_the_others(chain: Chain) -> None:
    declared = (
        "[parameters.size]\ntype = 'integer'\ndefault = 10\n[parameters.since]\ntype = 'date'\ndefault = 2025-01-01"
    )
    query = "select day, getvariable('size') as size, day - getvariable('since') as days, amount from raw"
    chain.define("a", query, declared)
    chain.ask("a", "2025-01-05", parameters={"since": "2025-01-03"})
    chain.run("a")
    [file] = chain.settings.warehouse.glob("a/*/data.parquet")
    assert pyarrow.parquet.ParquetFile(file).read().to_pylist() == [{"size": 10, "days": 2, "amount": 5}]
    footer = pyarrow.parquet.ParquetFile(file).metadata.metadata
    assert footer[b"reloads.parameters"] == b'{"since": "2025-01-03"}'
