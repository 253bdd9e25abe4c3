"""Attention: it rings for what is complete, once, and ever less often for what stays."""

from itertools import pairwise

import pytest

from reloads.airflow.attention import Attention, Signature

SOME, MORE = Signature(1, 10, 100), Signature(1, 20, 200)


def attention() -> Attention:
    return Attention(stable_seconds=1, rescan_seconds=60)


def test_a_file_whose_writer_is_through_is_rung_for_at_once() -> None:
    assert attention().look({"a.json": SOME}, finished={"a.json"}, now=0) == ["a.json"]


def test_a_file_of_unknown_writer_is_rung_for_once_it_has_rested() -> None:
    bell = attention()
    assert bell.look({"a.json": SOME}, finished=(), now=0) == []
    assert bell.seconds_to_next_look(now=0) == 1
    assert bell.look({"a.json": SOME}, finished=(), now=0.9) == []
    assert bell.look({"a.json": SOME}, finished=(), now=1) == ["a.json"]


def test_a_file_that_grows_is_not_complete() -> None:
    bell = attention()
    for second in range(10):
        assert bell.look({"a.json": Signature(1, second, second)}, finished=(), now=second) == []
    assert bell.look({"a.json": Signature(1, 9, 9)}, finished=(), now=10) == ["a.json"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Signature(2, 10, 100), id="another file"),
        pytest.param(Signature(1, 11, 100), id="another size"),
        pytest.param(Signature(1, 10, 101), id="written again"),
    ],
)
def test_a_file_that_changed_is_another_file(other: Signature) -> None:
    bell = attention()
    assert bell.look({"a.json": SOME}, finished={"a.json"}, now=0) == ["a.json"]
    assert bell.look({"a.json": other}, finished={"a.json"}, now=1) == ["a.json"]


def test_a_name_that_comes_back_is_another_file() -> None:
    bell = attention()
    assert bell.look({"a.json": SOME}, finished={"a.json"}, now=0) == ["a.json"]
    assert bell.look({}, finished=(), now=1) == []
    assert bell.look({"a.json": SOME}, finished={"a.json"}, now=2) == ["a.json"]


def test_a_file_that_stays_is_rung_for_less_and_less_often() -> None:
    bell = attention()
    rung = [now for now in range(0, 20_000, 10) if bell.look({"a.json": SOME}, finished={"a.json"}, now=now)]
    pauses = [b - a for a, b in pairwise(rung)]
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]


def test_a_file_that_stays_for_a_year_is_rung_for_every_hour() -> None:
    bell = Attention(stable_seconds=1.0, rescan_seconds=60.0)
    hours = [hour for hour in range(365 * 24) if bell.look({"a.json": SOME}, finished=(), now=hour * 3600.0 + 1)]
    assert len(hours) > 8_000


def test_one_file_that_stays_does_not_silence_the_others() -> None:
    bell = attention()
    assert bell.look({"a.json": SOME}, finished={"a.json"}, now=0) == ["a.json"]
    assert bell.look({"a.json": SOME, "b.json": MORE}, finished={"b.json"}, now=1) == ["b.json"]


@pytest.mark.parametrize("files", [{}, {"a.json": SOME}], ids=["empty", "overdue"])
def test_the_next_look_is_never_at_once_nor_after_the_rescan(files: dict[str, Signature]) -> None:
    bell = attention()
    bell.look(files, finished=(), now=0)
    for now in (0.0, 1.0, 100.0, 1e9):
        assert 0.05 <= bell.seconds_to_next_look(now=now) <= 60
