"""A request: every good one is accepted as it is meant, every other one is refused with one sentence."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import RequestError
from reloads.requests.request import ReloadRequest, check_request, parse_request
from reloads.requests.request_file import MAX_FILE_BYTES, json_schema, parse_json
from reloads.tables.catalog import Catalog

TODAY = date(2024, 7, 1)
GOOD = {"table": "flights", "start_date": "2024-01-01", "end_date": "2024-01-31"}


def ask(raw: bytes, catalog: Catalog) -> list[ReloadRequest]:
    """All that happens to the content of a file."""
    requests = [parse_request(item) for item in parse_json(raw)]
    for request in requests:
        check_request(request, catalog=catalog, today=TODAY)
    return requests


def refusal(fields: object, catalog: Catalog) -> str:
    with pytest.raises(RequestError) as refused:
        ask(json.dumps(fields).encode(), catalog)
    return str(refused.value)


def test_the_end_defaults_to_the_start(catalog: Catalog) -> None:
    [request] = ask(b'{"table": "flights", "start_date": "2024-02-29"}', catalog)
    assert request.days.texts() == ["2024-02-29"]


def test_today_may_be_asked_for_and_tomorrow_not(catalog: Catalog) -> None:
    [request] = ask(json.dumps(GOOD | {"end_date": str(TODAY)}).encode(), catalog)
    assert TODAY in request.days
    assert refusal(GOOD | {"end_date": "2024-07-02"}, catalog) == (
        "end_date 2024-07-02 is in the future; the last day to ask for is 2024-07-01"
    )


def test_a_request_before_the_first_day_is_rejected(catalog: Catalog) -> None:
    january = {"table": "flights", "start_date": "2013-01-01", "end_date": "2013-01-31"}
    [request] = ask(json.dumps(january).encode(), catalog)
    assert len(request.days) == 31
    assert refusal(january | {"start_date": "2012-12-31"}, catalog) == (
        "start_date 2012-12-31 is before the first day of 'flights'; begin at 2013-01-01"
    )


def test_a_request_for_two_tables_must_suit_both(catalog: Catalog) -> None:
    fields = GOOD | {"table": ["flights", "events"]}
    [request] = ask(json.dumps(fields).encode(), catalog)
    assert request.tables == ("flights", "events")
    assert "first day of 'events'; begin at 2020-01-01" in refusal(fields | {"start_date": "2019-12-31"}, catalog)


def test_a_table_named_twice_is_asked_for_once(catalog: Catalog) -> None:
    [request] = ask(json.dumps(GOOD | {"table": ["events", "flights", "events"]}).encode(), catalog)
    assert request.tables == ("events", "flights")


def test_the_longest_range_is_the_tables_to_decide(catalog: Catalog) -> None:
    first = date(1900, 1, 1)
    longest = GOOD | {"table": "archive", "start_date": str(first), "end_date": str(first + timedelta(days=3999))}
    [request] = ask(json.dumps(longest).encode(), catalog)
    assert len(request.days) == 4000
    too_long = longest | {"end_date": str(first + timedelta(days=4000))}
    assert refusal(too_long, catalog) == (
        "4001 days are more than the 4000 that 'archive' allows; ask for shorter ranges"
    )


def test_excluded_days_stay_as_they_are(catalog: Catalog) -> None:
    [request] = ask(json.dumps(GOOD | {"exclude_dates": ["2024-01-02", "2024-01-31"]}).encode(), catalog)
    assert request.days.texts() == ["2024-01-01", "2024-01-03..2024-01-30"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            {"exclude_dates": ["2024-02-01"]},
            "exclude_dates 2024-02-01 is outside 2024-01-01..2024-01-31; remove it or widen the range",
            id="excluded day outside",
        ),
        pytest.param(
            {"end_date": "2024-01-01", "exclude_dates": ["2024-01-01"]},
            "exclude_dates leaves no day of 2024-01-01; exclude fewer days",
            id="nothing left",
        ),
        pytest.param({"exclude_dates": "2024-01-02"}, 'exclude_dates "2024-01-02" is not a list; write', id="no list"),
        pytest.param({"exclude_dates": None}, "exclude_dates null is not a list; write a list of days", id="null list"),
        pytest.param({"exclude_dates": ["2.1."]}, "exclude_dates '2.1.' is not a day of the form", id="no day"),
        pytest.param({"table": []}, "table [] names no table; write at least one name", id="no table"),
        pytest.param({"table": ["flights", 1]}, 'table ["flights", 1] is not a name; write', id="number in the names"),
        pytest.param(
            {"table": ["flights", 1, 2, 3]}, "is not a name; write a table's name or a list", id="many numbers"
        ),
        pytest.param({"table": {}}, "table {} is not a name; write a table's name", id="object for a name"),
        pytest.param({"table": None}, "table null is not a name; write a table's name", id="null for a name"),
        pytest.param({"table": ""}, "table '' is unknown; known tables are", id="empty name"),
        pytest.param({"table": "../flights"}, "table '../flights' is unknown; known tables are flights", id="path"),
        pytest.param({"table": "flights; drop"}, "table 'flights; drop' is unknown", id="SQL"),
        pytest.param({"table": "Flights"}, "table 'Flights' is unknown; known tables are flights", id="capital"),
        pytest.param({"reason": 5}, "reason 5 is not valid: it has to be a text", id="reason"),
        pytest.param({"reason": "x" * 1001}, "should have at most 1000 characters", id="long reason"),
        pytest.param({"priority": 1}, 'unknown field "priority"; known are table, start_date,', id="unknown field"),
        pytest.param({"keys": ["EWR"]}, 'keys ["EWR"] is not an object of lists; write it like', id="keys"),
        pytest.param({"keys": {"origin": []}}, 'keys names 0 values of "origin"; write one to 1000', id="no values"),
        pytest.param(
            {"keys": {"origin": [None]}}, 'keys: null is not a value of "origin"; write a text', id="null key"
        ),
        pytest.param({"keys": {"origin": ["EWR"]}}, 'has no key "origin"; it has none, leave keys out', id="stranger"),
        pytest.param({"only": "new"}, 'only "new" is not valid: ', id="only"),
        pytest.param({"cascade": "no"}, 'cascade "no" is not valid: ', id="cascade"),
        pytest.param({"parameters": {"size": 1}}, "has no parameter 'size'; it declares none", id="parameters"),
    ],
)
def test_a_wrong_field_is_refused_with_value_rule_and_cure(
    change: dict[str, object], words: str, catalog: Catalog
) -> None:
    assert words in refusal(GOOD | change, catalog)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"table": ()}, r"table \[\] names no table", id="no table"),
        pytest.param({"end_date": date(2023, 12, 31)}, "end_date 2023-12-31 is before start_date", id="inverted"),
        pytest.param({"exclude_dates": (date(2024, 2, 1),)}, "exclude_dates 2024-02-01 is outside", id="outside"),
        pytest.param(
            {"end_date": date(2024, 1, 1), "exclude_dates": (date(2024, 1, 1),)},
            "exclude_dates leaves no day of 2024-01-01",
            id="nothing left",
        ),
    ],
)
def test_an_instance_that_exists_names_a_table_and_asks_for_a_day(change: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        ReloadRequest.model_validate(GOOD | change)


@pytest.mark.parametrize("missing", ["table", "start_date"])
def test_a_missing_field_is_named(missing: str, catalog: Catalog) -> None:
    fields = {name: value for name, value in GOOD.items() if name != missing}
    assert refusal(fields, catalog).startswith(f'the field "{missing}" is missing; write an object like {{"table"')


def test_the_nearest_table_is_suggested_first(catalog: Catalog) -> None:
    assert refusal(GOOD | {"table": "fligths"}, catalog).partition("known tables are ")[2].startswith("flights, ")
    assert refusal(GOOD | {"table": "event"}, catalog).partition("known tables are ")[2].startswith("events, ")


def test_a_byte_order_mark_is_fine(catalog: Catalog) -> None:
    assert ask(b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), catalog) == [parse_request(GOOD)]


def test_a_file_of_the_largest_size_is_read_and_not_a_byte_more(catalog: Catalog) -> None:
    largest = json.dumps(GOOD).encode().ljust(MAX_FILE_BYTES)
    assert ask(largest, catalog) == [parse_request(GOOD)]
    with pytest.raises(RequestError, match=f"more than {MAX_FILE_BYTES} bytes; split it"):
        parse_json(largest + b" ")


def test_what_is_shown_of_a_large_value_is_short(catalog: Catalog) -> None:
    large = "x" * 900_000
    scattered = [str(date(2014, 1, 1) + timedelta(days=2 * n)) for n in range(1000)]
    for change in (
        {"table": large},
        {"table": [1] * 300_000},
        {"start_date": large},
        {"exclude_dates": large},
        {"exclude_dates": scattered},
        {"reason": large},
        {large: 1},
    ):
        assert len(refusal(GOOD | change, catalog)) < 500


# Any request that keeps the rules.
firsts = st.dates(date(2020, 1, 1), TODAY)


@st.composite
def good_requests(draw: st.DrawFn) -> tuple[dict[str, Any], set[date]]:
    """The fields of a request, and the days that it asks for."""
    first = draw(firsts)
    last = min(TODAY, first + timedelta(days=draw(st.integers(0, 400))))
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    excluded = draw(st.lists(st.sampled_from(days), max_size=5)) if len(days) > 5 else []
    fields = {
        "table": draw(st.sampled_from(["flights", "events", ["flights"], ["events", "flights"]])),
        "start_date": str(first),
        "end_date": str(last),
        "exclude_dates": list(map(str, excluded)),
    } | draw(st.fixed_dictionaries({}, optional={"reason": st.text(max_size=20), "requested_by": st.text(max_size=20)}))
    if first == last and draw(st.booleans()):
        del fields["end_date"]
    return fields, set(days) - set(excluded)


@given(good=good_requests(), escaped=st.booleans(), mark=st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_a_request_that_keeps_the_rules_gets_exactly_its_days(
    good: tuple[dict[str, Any], set[date]], *, escaped: bool, mark: bytes, catalog: Catalog
) -> None:
    fields, days = good
    [request] = ask(mark + json.dumps(fields, ensure_ascii=escaped).encode(), catalog)
    assert request.days == Days.of(days)
    assert request.reason == fields.get("reason")


@given(good=good_requests())
def test_the_schema_for_editors_accepts_what_we_accept(good: tuple[dict[str, Any], set[date]]) -> None:
    fields, _ = good
    jsonschema.validate(fields, json_schema())
    jsonschema.validate([fields, fields], json_schema())


@pytest.mark.parametrize("bad", [[], {}, 5, GOOD | {"priority": 1}, GOOD | {"table": 1}, GOOD | {"start_date": None}])
def test_the_schema_for_editors_refuses_what_we_refuse(bad: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, json_schema())


# Anything else: values of every kind in the places where a request has its fields.
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates().map(str)
    | st.sampled_from(["flights", "events", "\ud800", "2024-01-01", "2024-01-31"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)
names = st.sampled_from([*ReloadRequest.model_fields, "keys", "\ud800", "a\nb"])
almost = st.builds(lambda change: GOOD | change, st.dictionaries(names, values, max_size=2))
raw_files = (
    st.binary(max_size=60)
    | st.one_of(almost, values, st.lists(almost, max_size=3)).map(lambda value: json.dumps(value).encode())
    | st.tuples(almost, st.integers(0, 120)).map(lambda pair: json.dumps(pair[0]).encode()[: pair[1]])
)


@given(raw=raw_files)
def test_no_content_does_anything_but_be_accepted_or_refused_in_one_line(raw: bytes, catalog: Catalog) -> None:
    try:
        ask(raw, catalog)
        sentence = ""
    except RequestError as error:
        sentence = str(error)
    assert sentence.isprintable()
    assert len(sentence) < 600


def test_a_request_names_its_parameters_or_keeps_those_that_are_there(catalog: Catalog) -> None:
    fields = {"table": "flights", "start_date": "2013-01-01", "keep_parameters": True, "parameters": {"size": 1}}
    assert refusal(fields, catalog) == ("keep_parameters is true but parameters names some; leave one of the two out")
