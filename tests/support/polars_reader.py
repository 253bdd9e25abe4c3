"""Polars in a process of its own.

Once it has read from an object store, a thread of its own asks the environment ten times a second, for ever. A process
that changes its environment meanwhile, as tests do all the time, may crash: glibc protects neither from the other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any


def read_delta(url: str, *, version: int | None = None, options: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of a Delta table; it is told these options, and the variables of AWS as they are now."""
    return _process().submit(_read, url, version, _complete(options)).result()


def count_by(url: str, column: str, *, options: Mapping[str, str]) -> list[tuple[Any, int]]:
    """How many rows of a Delta table have each value of a column, as Polars groups them."""
    return _process().submit(_count, url, column, _complete(options)).result()


@cache
def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def _complete(options: Mapping[str, str]) -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return {**variables, **options}


def _read(url: str, version: int | None, options: dict[str, str]) -> list[dict[str, Any]]:
    import polars as pl  # noqa: PLC0415 - in that process only

    return pl.read_delta(url, version=version, storage_options=options).to_dicts()


def _count(url: str, column: str, options: dict[str, str]) -> list[tuple[Any, int]]:
    import polars as pl  # noqa: PLC0415 - in that process only

    return pl.read_delta(url, storage_options=options).group_by(column).len().rows()
