"""A request file: JSON, read within bounds that keep any file cheap to refuse.

Every bound is looked at before what it bounds is done.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from math import isinf
from typing import Any

from reloads.errors import RequestError, one_line, shorten
from reloads.requests.request import EXAMPLE, ReloadRequest, show

MAX_FILE_BYTES = 2**20
MAX_REQUESTS = 5000
"""Requests in a file, one for each table. Each becomes a record, and the files behind this one wait for all of them."""
MAX_DEPTH = 50
"""Levels of objects and lists in a file; Python's own reader gives up at a depth that depends on who calls it."""


def parse_json(raw: bytes) -> list[dict[str, Any]]:
    """The objects of a request file: one object, or a list of them. Raises ``RequestError``."""
    if len(raw) > MAX_FILE_BYTES:
        raise RequestError(f"the file has more than {MAX_FILE_BYTES} bytes; split it into smaller ones")
    if _depth(raw) > MAX_DEPTH:
        raise RequestError(f"the file is nested more than {MAX_DEPTH} levels deep; write it like {EXAMPLE}")
    try:
        text = raw.decode("utf-8-sig")
        parsed = json.loads(
            text, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant, parse_float=_parse_float
        )
        json.dumps(parsed, ensure_ascii=False).encode()  # fails for half of a surrogate pair, which no file can hold
    except UnicodeDecodeError as error:
        raise RequestError(f"byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise RequestError(f"the file is not JSON ({error.msg} at {where}); mend it, like {EXAMPLE}") from error
    except UnicodeEncodeError as error:
        raise RequestError("a text holds half of a surrogate pair; write whole characters") from error
    except ValueError as error:
        raise RequestError(f"the file is not a request ({one_line(error)}); write it like {EXAMPLE}") from error
    items = parsed if isinstance(parsed, list) else [parsed]
    if not items:
        raise RequestError(f"the list is empty, it asks for nothing; write an object like {EXAMPLE}")
    for item in items:
        if not isinstance(item, dict):
            raise RequestError(f"{show(item)} is not a request; write an object like {EXAMPLE}")
    return items


def json_schema() -> dict[str, Any]:
    """The JSON schema of a request file, for editors."""
    schema = ReloadRequest.model_json_schema()
    request = {key: schema[key] for key in ("type", "properties", "required", "additionalProperties")}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Reload request file",
        "anyOf": [request, {"type": "array", "items": request, "minItems": 1}],
    }


# A text ends at its quote, or with the file. Nothing is tried twice, so that a file of quotes takes no longer.
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def _depth(raw: bytes) -> int:
    """How many lists and objects stand in each other, before anything is parsed."""
    brackets = _TEXT.sub(b"", raw).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Python's own reader keeps the last of two equal keys without a word.
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise RequestError(f"the key {show(key)} stands twice in one object; keep one of them")
        fields[key] = value
    return fields


def _parse_float(text: str) -> float:
    """Python's own reader makes infinity of ``1e999``, which no file can hold."""
    number = float(text)
    if isinf(number):
        raise RequestError(f"{shorten(text)} is too large a number; write a smaller one")
    return number


def _refuse_constant(name: str) -> None:
    """Python's own reader accepts NaN, Infinity and -Infinity."""
    raise RequestError(f"{name} is not JSON; write a text like '2013-01-31'")
