"""Attention: it rings for what is complete, and ever less often for what stays; a burst is rung for a few times."""

from itertools import pairwise

import pytest

from reloads.airflow.attention import REST_MARGIN_SECONDS, Attention, Pace, Signature

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


def test_a_file_whose_writer_is_through_is_rung_for_again_once_it_has_rested() -> None:
    bell = attention()
    rested = 1 + REST_MARGIN_SECONDS
    assert bell.look({"a.json": SOME}, finished={"a.json"}, now=0) == ["a.json"]
    assert bell.seconds_to_next_look(now=0) == rested
    assert bell.look({"a.json": SOME}, finished={"a.json"}, now=1) == []
    assert bell.look({"a.json": SOME}, finished=(), now=rested) == ["a.json"]
    assert bell.seconds_to_next_look(now=rested) == 60
    assert bell.look({"a.json": SOME}, finished=(), now=rested + 59) == []
    assert bell.look({"a.json": SOME}, finished=(), now=rested + 60) == ["a.json"]


def test_a_file_that_had_rested_when_it_was_rung_for_is_not_rung_for_again_so_soon() -> None:
    bell = attention()
    bell.look({"a.json": SOME}, finished=(), now=0)
    assert bell.look({"a.json": SOME}, finished=(), now=1) == ["a.json"]
    assert bell.look({"a.json": SOME}, finished=(), now=2) == []
    assert bell.seconds_to_next_look(now=1) == 60


def test_a_file_that_rests_longer_than_the_rescan_is_rung_for_meanwhile_and_when_it_has_rested() -> None:
    bell = Attention(stable_seconds=10, rescan_seconds=2)
    rung = [now / 4 for now in range(80) if bell.look({"a.json": SOME}, finished={"a.json"}, now=now / 4)]
    assert rung == [0, 2, 6, 10 + REST_MARGIN_SECONDS, 18.25]


def test_files_are_rung_for_in_the_order_in_which_they_arrived() -> None:
    files = {"a.json": Signature(1, 10, 300), "b.json": Signature(2, 10, 100), "c.json": Signature(3, 10, 200)}
    assert attention().look(files, finished=files, now=0) == ["b.json", "c.json", "a.json"]


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
        pytest.param(Signature(1, 10, 101), id="changed again"),
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
    assert pauses[:6] == [10, 60, 120, 240, 480, 600]
    assert set(pauses[6:]) == {600}


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


def test_the_next_look_comes_soon_after_one_that_did_not_ring() -> None:
    assert Pace().gap_after_look(rang=False, took=0.001, now=0) == 0.05


def test_looks_take_half_of_the_time_at_most() -> None:
    assert Pace().gap_after_look(rang=False, took=0.4, now=0) == 0.4
    assert Pace().gap_after_look(rang=True, took=0.4, now=0) == 0.4


def test_a_burst_is_rung_for_less_and_less_often() -> None:
    pace, now, rings = Pace(), 0.0, 0
    while now < 5:
        now += pace.gap_after_look(rang=True, took=0.001, now=now)
        rings += 1
    assert rings == 8


def test_after_a_burst_the_next_file_finds_the_shortest_gap_again() -> None:
    pace = Pace()
    gaps = [pace.gap_after_look(rang=True, took=0, now=now) for now in (0, 0.1, 0.3, 0.7, 1.5, 2.5)]
    assert gaps == pytest.approx([0.1, 0.2, 0.4, 0.8, 1, 1])
    assert pace.gap_after_look(rang=True, took=0, now=4.6) == 0.1
