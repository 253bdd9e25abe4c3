"""Days and ranges as the page reads and writes them: like the pipeline itself."""

from __future__ import annotations

from typing import Any

import pytest

from reloads.days import Days
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor

RUN = """async ([name, value]) => {
    const days = await import(new URL("reloads/static/days.js", document.baseURI));
    try {
        const answer = days[name](value);
        return answer instanceof Set ? [...answer] : answer;
    } catch (error) {
        return error.message;
    }
}"""


def call(visitor: Visitor, function: str, value: object) -> Any:
    """What a function of the page's module answers."""
    return visitor.page.evaluate(RUN, [function, value])


@pytest.fixture
def visitor(visit: Visit) -> Visitor:
    visitor = visit("vera")
    visitor.open()
    return visitor


def test_ranges_are_written_as_the_pipeline_writes_them(visitor: Visitor) -> None:
    texts = ["2024-02-28..2024-03-01", "2024-03-31", "2023-12-31..2024-01-02", "2025-01-01"]
    days = Days.parse(texts)
    unordered = sorted((str(day) for day in days), key=lambda text: text[::-1])

    assert call(visitor, "toRanges", unordered) == days.texts()
    assert set(call(visitor, "parseDays", ", ".join(texts))) == set(unordered)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2023-02-29", '"2023-02-29" is not a day or a range; write it like 2013-01-05 or 2013-01-05..2013-01-09'),
        ("5.1.2024", '"5.1.2024" is not a day or a range; write it like 2013-01-05 or 2013-01-05..2013-01-09'),
        ("2024-01-05..2024-01-01", "2024-01-05..2024-01-01 ends before it begins; swap the two days"),
        ("0001-01-01..9999-12-31", "0001-01-01..9999-12-31 is more than 20000 days; ask for a part of them"),
        ("", []),
    ],
    ids=["no such day", "another form", "backwards", "very many", "nothing"],
)
def test_what_is_no_day_gets_a_sentence(visitor: Visitor, text: str, sentence: object) -> None:
    assert call(visitor, "parseDays", text) == sentence
