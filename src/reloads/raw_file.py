"""A raw file: what a file of a source was when it was read, so that another one in its place is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)  # there may be tens of thousands
class RawFile:
    """A file below the source folder, as it was at one moment.

    Two moments with the same value are the same content: the file system sets ``changed_ns`` itself whenever a file is
    written or another one takes its name, and no program can set it back. Where that cannot be trusted, ``content``
    tells instead.
    """

    size: int
    modified_ns: int
    changed_ns: int
    content: str = ""
    """A hash of its bytes, where its times are not to be trusted."""

    def is_same(self, other: RawFile) -> bool:
        """Whether it holds what the other one held."""
        if self.content or other.content:
            return (self.size, self.content) == (other.size, other.content)
        return self == other

    def to_json(self) -> dict[str, Any]:
        """A small value for a commit."""
        fields = asdict(self)
        return fields if self.content else {name: value for name, value in fields.items() if name != "content"}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> RawFile:
        """The inverse; raises ``TypeError`` for anything else."""
        file = cls(**fields)
        if type(file.size) is not int or type(file.modified_ns) is not int or type(file.changed_ns) is not int:
            raise TypeError(f"{file} has other numbers than whole ones")
        if not isinstance(file.content, str):
            raise TypeError(f"{file} has a content that is no text")
        return file


def describe_change(before: Mapping[str, RawFile], now: Mapping[str, RawFile]) -> str | None:
    """What became of the files by which a partition was made, in a clause; None where they are the same."""
    if before == now:
        return None
    for path, file in sorted(now.items()):
        if path not in before:
            return f"{path} is new"
        if not before[path].is_same(file):
            return f"{path} changed"
    for path in sorted(before.keys() - now.keys()):
        return f"{path} was removed"
    return None
