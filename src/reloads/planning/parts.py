"""Parts of a day: which of its partitions are written with which parameters.

A request that names its parameters is one part. One that keeps parameters is a part for each set of parameters with
which partitions of the day were written; each part takes, or leaves out, the values of the keys concerned.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from reloads.partition_filter import KeyFilter, PartitionFilter

Parameters = Mapping[str, Any]
KeyValues = Mapping[str, str]


@dataclass(frozen=True)
class WrittenParameters:
    """The parameters with which a day was written."""

    of_day: Parameters = field(default_factory=dict)
    """Of the day as a whole, when all of it was written last: those for values of the keys that it does not have."""
    of_partitions: tuple[tuple[KeyValues, Parameters], ...] = ()
    """Of each partition, by the values of its keys."""


@dataclass(frozen=True)
class Part:
    """Some partitions of a day, and the parameters with which they are written."""

    partition_filter: PartitionFilter
    parameters: Parameters

    @cached_property
    def parameters_text(self) -> str:
        """Equal for equal parameters."""
        return _text_of(self.parameters)

    @cached_property
    def text(self) -> str:
        """Equal for equal parts."""
        return json.dumps([self.partition_filter.to_json(), self.parameters_text])

    def contradicts(self, other: Part) -> bool:
        """Whether a partition may be in both, with other parameters."""
        has_other_parameters = self.parameters_text != other.parameters_text
        return has_other_parameters and self.partition_filter.overlaps(other.partition_filter)


def named_part(keys: KeyFilter, parameters: Parameters) -> Part:
    """What a request asks for that names its parameters."""
    return Part(PartitionFilter((keys,) if keys else ()), parameters)


def kept_parts(keys: KeyFilter, written: WrittenParameters) -> tuple[Part, ...]:
    """What a request for these keys of a day asks for that keeps the parameters; disjoint, and together all of it."""
    usual = _text_of(written.of_day)
    parameters_by_text: dict[str, Parameters] = {}
    values_by_text: dict[str, list[KeyValues]] = {}
    for key_values, parameters in written.of_partitions:
        text = _text_of(parameters)
        if text != usual and all(key_values.get(key) in values for key, values in keys.items()):
            parameters_by_text[text] = parameters
            values_by_text.setdefault(text, []).append(key_values)
    parts: list[Part] = []
    excluded: list[KeyFilter] = []
    for text, values in sorted(values_by_text.items()):
        key_filters = _filters_of(values)
        excluded += key_filters
        parts.append(Part(PartitionFilter(key_filters), parameters_by_text[text]))
    rest = PartitionFilter((keys,) if keys else (), excluded=tuple(excluded))
    if not keys or rest.overlaps(PartitionFilter((keys,))):
        parts.append(Part(rest, written.of_day))
    return tuple(parts)


def _filters_of(partitions: Iterable[KeyValues]) -> tuple[KeyFilter, ...]:
    """The filters that let in these partitions and no others, as few as are found at once."""
    values_by_prefix: dict[tuple[tuple[str, str], ...], list[str]] = {}
    last_key = ""
    for key_values in partitions:
        *prefix, (last_key, value) = key_values.items()
        values_by_prefix.setdefault(tuple(prefix), []).append(value)
    key_filters: list[KeyFilter] = []
    for prefix_values, values in sorted(values_by_prefix.items()):
        key_filters.append({key: (value,) for key, value in prefix_values} | {last_key: tuple(sorted(values))})
    return tuple(key_filters)


def _text_of(parameters: Parameters) -> str:
    return json.dumps(parameters, sort_keys=True, default=str)
