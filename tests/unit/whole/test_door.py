"""The drop folder and two thousand hostile files, the same at every run; `make fuzz` tries others."""

from __future__ import annotations

import pytest

from tests.support.door_fuzz import fuzz

FILES = 2000
SEED = 20261125


@pytest.mark.timeout(600)
# A batch of files is long, and this would be raised in the place of what was found.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_every_hostile_file_ends_in_one_place_and_the_good_one_behind_them_is_accepted() -> None:
    fuzz(FILES, SEED)
