"""Who sends raw files: into a folder, or into a bucket."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tests.support.raw_bucket import RawBucket
from tests.unit.whole.file_home import wait_for_clock


class Senders(Protocol):
    """What senders can do with files, by their paths below the source."""

    source: Path
    """The source as the settings hold it."""

    writes_in_place: bool
    """Whether a file is seen while it is written."""

    def write(self, path: str, text: str, *, by_rename: bool) -> None:
        """Write the file, in place or beside and renamed over it."""

    def remove(self, path: str) -> None:
        """Remove the file."""

    def move_out_and_in(self, path: str) -> None:
        """The same file goes, and comes back."""

    def take_away(self, folder: str, *, leaves_mount_point: bool) -> None:
        """All files below the folder are gone."""

    def bring_back(self, folder: str) -> None:
        """They are back, as they were."""

    def version(self, path: str) -> object:
        """Tells the file from all others that were there before, as far as anybody can."""

    def stay(self, path: str) -> int:
        """Tells the file also from an equal one that was there before another one, or before there was none."""


class FolderSenders:
    """Into a folder: whatever is done to a file makes another one of it."""

    writes_in_place = True

    def __init__(self, source: Path, home: Path) -> None:
        self.source, self._home = source, home
        self._changes: Counter[str] = Counter()

    def write(self, path: str, text: str, *, by_rename: bool) -> None:
        target = self.source / path
        target.parent.mkdir(exist_ok=True)
        written = target.with_name(".being-written") if by_rename else target
        written.write_text(text)
        if by_rename:
            written.rename(target)
        self._note(path)

    def remove(self, path: str) -> None:
        (self.source / path).unlink()
        self._note(path)

    def move_out_and_in(self, path: str) -> None:
        target = self.source / path
        target.rename(self._home / "elsewhere")
        (self._home / "elsewhere").rename(target)
        self._note(path)

    def take_away(self, folder: str, *, leaves_mount_point: bool) -> None:
        (self.source / folder).rename(self._home / f"away-{folder}")
        if leaves_mount_point:
            (self.source / folder).mkdir()

    def bring_back(self, folder: str) -> None:
        with suppress(FileNotFoundError):
            (self.source / folder).rmdir()
        (self._home / f"away-{folder}").rename(self.source / folder)

    def version(self, path: str) -> object:
        return self._changes[path]

    def stay(self, path: str) -> int:
        return self._changes[path]

    def _note(self, path: str) -> None:
        self._changes[path] += 1
        if (self.source / path).exists():
            wait_for_clock(self.source / path)


class BucketSenders:
    """Into a bucket: a file comes whole, and the same bytes are the same file."""

    writes_in_place = False

    def __init__(self) -> None:
        self._bucket = RawBucket()
        self.source = self._bucket.folder
        self._texts: dict[str, str] = {}
        self._stays: Counter[str] = Counter()
        self._away: dict[str, str] = {}

    def write(self, path: str, text: str, *, by_rename: bool) -> None:
        del by_rename
        self._bucket.put(path, text=text)
        self._stays[path] += self._texts.get(path) != text
        self._texts[path] = text

    def remove(self, path: str) -> None:
        self._bucket.remove(path)
        del self._texts[path]

    def move_out_and_in(self, path: str) -> None:
        text = self._bucket.read(path)
        self._bucket.remove(path)
        self._bucket.put(path, text=text)

    def take_away(self, folder: str, *, leaves_mount_point: bool) -> None:
        del leaves_mount_point
        for path in self._bucket.list(folder):
            self._away[path] = self._bucket.read(path)
            self._bucket.remove(path)

    def bring_back(self, folder: str) -> None:
        for path in [path for path in self._away if path.startswith(f"{folder}/")]:
            self._bucket.put(path, text=self._away.pop(path))

    def version(self, path: str) -> object:
        return self._texts.get(path)

    def stay(self, path: str) -> int:
        return self._stays[path]
