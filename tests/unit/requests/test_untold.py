"""Tables of which Airflow is still to be told: found until somebody does, and again if that comes to nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from reloads.requests.neglect import KNOCK, LONGEST_WAIT
from reloads.requests.untold import attend_untold, find_untold, forget_untold, leave_untold


def test_a_table_is_found_until_somebody_takes_care_of_it_and_again_if_it_stays(tmp_path: Path) -> None:
    leave_untold(tmp_path, "sales")
    leave_untold(tmp_path, "sales")
    now = datetime.now(UTC)
    assert (tmp_path / KNOCK).exists()
    assert find_untold(tmp_path, now=now) == ["sales"]
    attend_untold(tmp_path, "sales")
    assert find_untold(tmp_path, now=now) == []
    assert find_untold(tmp_path, now=now + LONGEST_WAIT + timedelta(seconds=5)) == ["sales"]
    forget_untold(tmp_path, "sales")
    assert find_untold(tmp_path, now=now + 2 * LONGEST_WAIT) == []


def test_what_is_told_meanwhile_is_no_error(tmp_path: Path) -> None:
    attend_untold(tmp_path, "sales")
    forget_untold(tmp_path, "sales")
    assert find_untold(tmp_path, now=datetime.now(UTC)) == []
