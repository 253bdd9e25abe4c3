"""A pydantic model as a table: each field with its default and its meaning, as the code describes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs.site.markdown import table

DEFAULT = "; default: "
"""What stands in a description before a default that is more than a value."""


def table_of(model: type[BaseModel], title: str, *, name_of: Callable[[str], str] = str, is_toml: bool = False) -> str:
    """The fields of the model; ``title`` heads their names."""
    rows = [
        (f"`{name_of(name)}`", default_of(field, is_toml=is_toml), meaning_of(field.description))
        for name, field in model.model_fields.items()
    ]
    return table((title, "default", "meaning"), rows)


def meaning_of(description: str | None) -> str:
    """A description without its default, which has a column of its own. Raises ``ValueError`` where there is none."""
    if not description:
        raise ValueError("a field has no description; give it one")
    return description.partition(DEFAULT)[0]


def default_of(field: FieldInfo, *, is_toml: bool) -> str:
    """The default in words: those of the description, or the value as one writes it."""
    told = (field.description or "").partition(DEFAULT)[2]
    if field.is_required():
        return "required"
    if told:
        return told
    if is_toml and field.default is not None:
        return f"`{json.dumps(field.default)}`"
    return written(field.default)


def written(value: object) -> str:
    """A value as a person writes it."""
    if value in (None, "", (), [], {}):
        return "none"
    if isinstance(value, Path):
        return f"`{value}`"
    if isinstance(value, list | tuple | set | frozenset):
        return f"`{' '.join(str(item) for item in value)}`"
    if isinstance(value, str):
        return f"`{value}`"
    return f"`{json.dumps(value, default=str)}`"
