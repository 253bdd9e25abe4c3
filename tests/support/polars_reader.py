"""Polars in a process of its own.

Once it has read from an object store, a thread of its own asks the environment ten times a second, for ever. A process
that changes its environment meanwhile, as tests do all the time, may crash: glibc protects neither from the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any

ONE_AT_A_TIME = Lock()


def read_delta(url: str, *, version: int | None = None, options: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of a Delta table; it is told these options, and the variables of AWS as they are now."""
    rows: list[dict[str, Any]] = _ask(_read, url, version, _complete(options))
    return rows


def count_by(url: str, column: str, *, options: Mapping[str, str]) -> list[tuple[Any, int]]:
    """How many rows of a Delta table have each value of a column, as Polars groups them."""
    counts: list[tuple[Any, int]] = _ask(_count, url, column, _complete(options))
    return counts


def _complete(options: Mapping[str, str]) -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return {**variables, **options}


def _read(url: str, version: int | None, options: dict[str, str]) -> list[dict[str, Any]]:
    import polars as pl  # noqa: PLC0415 - in that process only

    return pl.read_delta(url, version=version, storage_options=options).to_dicts()


def _count(url: str, column: str, options: dict[str, str]) -> list[tuple[Any, int]]:
    import polars as pl  # noqa: PLC0415 - in that process only

    return pl.read_delta(url, storage_options=options).group_by(column).len().rows()


def _ask(function: Callable[..., object], *arguments: object) -> Any:
    with ONE_AT_A_TIME:
        connection = _process()
        connection.send((function, arguments))
        answer, error = connection.recv()
    if error is not None:
        raise RuntimeError(f"polars cannot read: {error}")
    return answer


@cache
def _process() -> Connection:
    """Who answers there. It ends with this process."""
    context = get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=_serve, args=(there,), daemon=True).start()
    there.close()
    return here


def _serve(connection: Connection) -> None:
    while True:
        function, arguments = connection.recv()
        try:
            connection.send((function(*arguments), None))
        except Exception as error:  # noqa: BLE001 - whichever it is, the one who asked is told
            connection.send((None, f"{type(error).__name__}: {error}"))
