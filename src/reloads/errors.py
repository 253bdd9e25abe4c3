"""The errors a person can meet. Each message is one sentence: the value, the rule, the cure.

ReloadsError
├── RequestError        the requester changes the request
├── TableError          the engineer mends a folder below ``tables/``
├── QueryError          the engineer mends a query or its data; the days concerned keep their files
│   ├── FitError        the whole batch cannot be published as it is, whichever of its days are taken
│   ├── InputError      another table that the query reads cannot be read
│   └── TimeLimitError  the batch takes longer than it may: fewer days, or more time
└── OperatorError       the operator mends the environment (disk, permission, setting); it is tried again
"""

from __future__ import annotations


class ReloadsError(Exception):
    """Root of all errors of this package; ``str(error)`` is the sentence to show."""


class RequestError(ReloadsError):
    """A request that cannot be accepted as it is."""


class TableError(ReloadsError):
    """A table folder that does not define a table."""


class QueryError(ReloadsError):
    """The database refused a table's query, or its result cannot be published."""


class FitError(QueryError):
    """The columns do not fit the published table: trying fewer days does not help."""


class TimeLimitError(QueryError):
    """A batch takes longer than it may: trying it again would take as long."""


class InputError(QueryError):
    """A partition of an input cannot be read; days that do not depend on it may fare better."""


class OperatorError(ReloadsError):
    """The environment does not let the work be done now."""


def one_line(text: object) -> str:
    """The text on one line, without a trailing full stop, so that it fits into a sentence."""
    return " ".join(str(text).split()).removesuffix(".")


_RULES = {
    "a valid boolean": "true or false",
    "a valid string": "a text",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid list": "a list",
    "a valid tuple": "a list",
    "a valid dictionary": "an object",
    "a valid date": "a day like 2013-01-31",
}


def rule_of(message: object) -> str:
    """What a value has to be, from pydantic's message about it; one of our own stays as it is."""
    text = one_line(message).removeprefix("Value error, ")
    rule = text.removeprefix("Input should be ")
    return text if rule == text else f"it has to be {_RULES.get(rule, rule)}"


def printable(text: str) -> str:
    """The text as it can be shown anywhere: what ends a line, steers a terminal or is not seen is escaped.

    Letters, accents and signs of all scripts stay.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shorten(text: str, length: int = 80) -> str:
    """The text, or as much of it as fits into a sentence."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
