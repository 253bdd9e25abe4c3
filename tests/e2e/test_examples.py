"""The first minutes: a fresh clone is started by `make up`, and what the tutorial says and every example works then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from stack.native.folders import Folders
from stack.native.stack import NativeStack
from tests.e2e.native_stack import NativeStackUnderTest, choose_own_ports, stopped_at_the_end
from tests.support.clone import copy_clone, make
from tests.support.examples import EXAMPLES, drop_example
from tests.support.pipeline import Pipeline
from tests.unit.documents.live_walk import LiveWalk
from tests.unit.documents.pages import Page

TUTORIAL = Page("docs/tutorial.md")


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


def amounts_by_shop(warehouse: Path) -> dict[str, int]:
    """What the orders of the tutorial come to; nothing before there is a partition."""
    files = [str(path) for path in warehouse.glob("orders/*/*.parquet")]
    if not files:
        return {}
    with duckdb.connect() as db:
        query = "select shop, sum(amount)::integer from read_parquet($1, hive_partitioning = true) group by 1"
        return dict(db.execute(query, [files]).fetchall())


def test_the_tutorial_comes_to_what_it_promises(fresh_pipeline: Pipeline) -> None:
    walk = LiveWalk(fresh_pipeline.home)
    said, amounts = {}, {}
    for heading, blocks in TUTORIAL.chapters().items():
        said[heading] = walk.do_and_listen(blocks)
        amounts[heading] = amounts_by_shop(fresh_pipeline.warehouse)

    assert "2024-01-03" not in said["4. Load it"]["reloads status orders"], "all of its days are fresh"
    assert "2024-01-03" in said["5. Reload a day"]["reloads status orders"], "its file changed"
    assert "0 added, 1 removed, 1 changed" in said["5. Reload a day"]["reloads diff orders 2024-01-03 --by shop"]
    assert "2024-01-03" in said["6. Undo it"]["reloads status orders"], "the wrong file is still there"
    assert amounts["4. Load it"] == {"Berlin": 600, "Paris": 400}
    assert amounts["5. Reload a day"] == {"Berlin": 1479, "Paris": 320}
    assert amounts["6. Undo it"] == {"Berlin": 600, "Paris": 400}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_dropped_after_the_first_start_is_done(fresh_pipeline: Pipeline, example: Path) -> None:
    drop_example(fresh_pipeline, example)
