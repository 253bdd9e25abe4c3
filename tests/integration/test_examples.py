"""The first minute in containers: the stack is started by `make stack`, and every example dropped then is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.examples import EXAMPLES, drop_example
from tests.support.pipeline import Pipeline


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_dropped_after_the_first_start_is_done(pipeline: Pipeline, example: Path) -> None:
    drop_example(pipeline, example)
