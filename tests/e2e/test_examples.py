"""The first minute: a fresh clone is started by `make up`, and every example that is dropped then is done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.native.folders import Folders
from stack.native.stack import NativeStack
from tests.e2e.native_stack import NativeStackUnderTest, choose_own_ports, stopped_at_the_end
from tests.support.clone import copy_clone, make
from tests.support.examples import EXAMPLES, drop_example
from tests.support.pipeline import Pipeline


@pytest.fixture(scope="module")
def fresh_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The pipeline of a clone that nobody has changed and in which nothing was started before."""
    clone = tmp_path_factory.mktemp("fresh") / "clone"
    copy_clone(clone)
    folders = Folders(home=clone, clone=clone)
    folders.make()
    choose_own_ports(folders)
    with stopped_at_the_end(folders):
        make("up", clone=clone)
        yield Pipeline(NativeStackUnderTest(NativeStack.at(folders)))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_dropped_after_the_first_start_is_done(fresh_pipeline: Pipeline, example: Path) -> None:
    drop_example(fresh_pipeline, example)
