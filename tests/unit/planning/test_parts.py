"""Parts of a day: they are disjoint, together all that is asked for, and each partition keeps its parameters."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from reloads.partition_filter import KeyFilter, PartitionFilter
from reloads.planning.parts import Part, WrittenParameters, kept_parts, named_part

CELLS = list(product("ab", "xyz"))

some_parameters = st.sampled_from([{}, {"size": 1}, {"size": 2}])
some_keys = st.fixed_dictionaries(
    {},
    optional={
        "k": st.lists(st.sampled_from("abq"), min_size=1, unique=True).map(tuple),
        "j": st.lists(st.sampled_from("xyz"), min_size=1, unique=True).map(tuple),
    },
)
written_cells = st.dictionaries(st.sampled_from(CELLS), some_parameters)


def lets_in(key_filter: KeyFilter, cell: tuple[str, str]) -> bool:
    k, j = cell
    return k in key_filter.get("k", (k,)) and j in key_filter.get("j", (j,))


def passes(partition_filter: PartitionFilter, cell: tuple[str, str]) -> bool:
    selected = not partition_filter.key_filters or any(lets_in(each, cell) for each in partition_filter.key_filters)
    return selected and not any(lets_in(each, cell) for each in partition_filter.excluded)


@given(keys=some_keys, of_day=some_parameters, cells=written_cells)
def test_each_partition_asked_for_is_in_one_part_with_the_parameters_that_it_was_written_with(
    keys: KeyFilter, of_day: dict[str, int], cells: dict[tuple[str, str], dict[str, int]]
) -> None:
    written = WrittenParameters(of_day, tuple(({"k": k, "j": j}, parameters) for (k, j), parameters in cells.items()))
    parts = kept_parts(keys, written)
    for cell in [*CELLS, ("new", "x"), ("a", "new"), ("q", "x")]:
        parameters = [part.parameters for part in parts if passes(part.partition_filter, cell)]
        assert parameters == ([cells.get(cell, of_day)] if lets_in(keys, cell) else [])
    assert len({part.parameters_text for part in parts}) == len(parts), "a part for each set of parameters"


def test_a_day_that_was_written_with_one_set_of_parameters_is_one_part() -> None:
    size = {"size": 2}
    written = WrittenParameters(size, (({"k": "a"}, size), ({"k": "b"}, size)))
    assert kept_parts({}, written) == (Part(PartitionFilter(), size),)
    assert kept_parts({}, WrittenParameters()) == (Part(PartitionFilter(), {}),)


def test_values_that_were_all_written_with_other_parameters_leave_nothing_over() -> None:
    written = WrittenParameters({}, (({"k": "a"}, {"size": 2}), ({"k": "b"}, {})))
    [part] = kept_parts({"k": ("a",)}, written)
    assert part == Part(PartitionFilter(({"k": ("a",)},)), {"size": 2})


def test_parts_contradict_each_other_where_they_share_partitions_and_not_parameters() -> None:
    all_1, all_2 = named_part({}, {"size": 1}), named_part({}, {"size": 2})
    a_2, b_1 = named_part({"k": ("a",)}, {"size": 2}), named_part({"k": ("b",)}, {"size": 1})
    assert all_1.contradicts(all_2)
    assert all_1.contradicts(a_2)
    assert not a_2.contradicts(b_1)
    assert not all_2.contradicts(a_2)
