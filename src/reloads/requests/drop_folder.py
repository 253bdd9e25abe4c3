"""The drop folder: which files lie there, in which order they came, and how one is taken, removed or rejected.

A file is taken by a rename to a name of our own, ``.taken/<when it arrived>-<inode>-<its name>``. So what is accepted
or rejected is the file that was read: whatever lies under its name afterwards is another file. A file that a crash
left taken is looked at again like one that was just dropped.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from reloads.errors import OperatorError, RequestError
from reloads.files import (
    free_name,
    make_own_folder,
    printable_name,
    sync_written,
    write_all_atomically,
    write_atomically,
)
from reloads.requests.collected import collect_rejected
from reloads.requests.endings import NOTE, note_rejections
from reloads.requests.outbox import Note, Outbox
from reloads.requests.request_file import MAX_FILE_BYTES

TAKEN = ".taken"
NOTES = ".notes"
LONGEST_STEM = 200
"""Bytes of a name that are kept; the rest of 255 leaves room for what we put around them."""

_TAKEN_NAME = re.compile(r"([0-9]+)-([0-9]+)-(.*)\.json", re.DOTALL)


@dataclass(frozen=True)
class DroppedFile:
    """One entry of the drop folder, or of the folder of taken files, as it was when it was listed."""

    path: Path
    stem: str
    """The name under which it was dropped, without its ending and without what is too long."""
    name: str
    """The name under which it was dropped, printable."""
    arrived_ns: int
    """When its last change ended: when it was written, or renamed into the folder."""
    inode: int
    size: int
    modified_ns: int
    is_taken: bool = False

    @property
    def signature(self) -> tuple[int, int, int]:
        """Changes with the file and its content."""
        return self.inode, self.size, self.modified_ns

    @property
    def origin(self) -> str:
        """Tells this drop from all others, also from another one of the same name and content."""
        return f"{self.stem}\0{self.inode}\0{self.arrived_ns}"


def list_request_files(landing: Path) -> list[os.DirEntry[str]]:
    """The entries of the drop folder that are to be requests, sorted by name.

    Names that start with ``.`` or end in something other than ``.json`` are left alone.
    """
    try:
        with os.scandir(landing) as entries:
            candidates = [e for e in entries if e.name.endswith(".json") and not e.name.startswith(".")]
    except OSError as error:
        raise OperatorError(f"{landing} cannot be read ({error.strerror}); make the folder and grant access") from error
    return sorted(candidates, key=lambda entry: entry.name)


def list_arrivals(landing: Path) -> list[DroppedFile]:
    """All files to look at, in the order in which they arrived: those that a crash left taken, too.

    The file system's own clock decides, which Linux since 6.13 reads finely enough to tell any two changes apart;
    where it does not, the name decides between files of the same few milliseconds.
    """
    files: list[DroppedFile] = []
    # Before the taken ones: a file that is taken meanwhile is met there.
    for entry in list_request_files(landing):
        path, stem, name = Path(entry.path), cut_stem(entry.name), printable_name(entry.name)
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        except OSError:
            # Whoever reads it says what is wrong with it; it must not hide the others.
            files.append(DroppedFile(path, stem, name, 0, entry.inode(), 0, 0))
        else:
            files.append(DroppedFile(path, stem, name, status.st_ctime_ns, *_signature(status)))
    files += _list_taken(landing)
    return sorted(files, key=lambda file: (file.arrived_ns, file.stem))


def _list_taken(landing: Path) -> Iterator[DroppedFile]:
    with suppress(FileNotFoundError, NotADirectoryError):
        for entry in os.scandir(landing / TAKEN):
            match = _TAKEN_NAME.fullmatch(entry.name)
            if match:
                with suppress(FileNotFoundError):  # accepted or rejected just now
                    inode, size, modified_ns = _signature(entry.stat(follow_symlinks=False))
                    path, stem, name = Path(entry.path), match[3], printable_name(f"{match[3]}.json")
                    yield DroppedFile(path, stem, name, int(match[1]), inode, size, modified_ns, is_taken=True)


def cut_stem(name: str) -> str:
    """As much of a file's name, without its ending, as the names of its note and of the taken file have."""
    return os.fsdecode(os.fsencode(name.removesuffix(".json"))[:LONGEST_STEM])


def _signature(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def names_in_sight(landing: Path) -> set[str]:
    """The printable names of all files that were not accepted or rejected yet, or could not be removed."""
    return {file.name for file in list_arrivals(landing)}


def take(file: DroppedFile, landing: Path) -> DroppedFile | None:
    """Rename the file to a name of our own; None if whoever dropped it took it away again.

    Raises ``OSError`` if it cannot be renamed.
    """
    folder = landing / TAKEN
    make_own_folder(folder)
    target = folder / f"{file.arrived_ns}-{file.inode}-{file.stem}.json"
    try:
        file.path.rename(target)
    except FileNotFoundError:
        return None
    return replace(file, path=target, is_taken=True)


def read_file(path: Path) -> tuple[bytes, os.stat_result]:
    """The content of a regular file, and its status when it was read; raises ``RequestError`` for anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RequestError("it is a symbolic link; drop the file itself") from error
        if error.errno == errno.ENXIO:
            raise RequestError("it is not a regular file; drop a file") from error
        raise
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        # Before a file object is made of it: for a folder that fails, and leaves the handle open.
        os.close(handle)
        fault = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise RequestError(f"it is {fault}; drop the request files themselves")
    with os.fdopen(handle, "rb") as file:
        return file.read(MAX_FILE_BYTES + 1), status


def remove_accepted(file: DroppedFile, status: os.stat_result) -> None:
    """Remove a taken file, whose content its records keep; not if somebody wrote to it after it was read."""
    with suppress(FileNotFoundError):
        if _signature(file.path.stat(follow_symlinks=False)) != _signature(status):
            return
        file.path.unlink()


def reject_all(rejected: Path, sentences: Mapping[DroppedFile, str]) -> dict[DroppedFile, OSError]:
    """Move taken files into that folder, each beside its sentence; returns those that could not be moved, and why.

    The sentences are written first: a crash in between leaves a file that is rejected once more, not one without a
    reason.
    """
    stems: dict[DroppedFile, str] = {}
    chosen: set[str] = set()
    for file in sentences:
        stem = free_name(rejected, f"{file.stem}.json", endings=(".json", NOTE), is_taken=chosen.__contains__)
        stems[file] = stem
        chosen.add(stem)
    note_rejections(rejected.parent, [f"{stem}{NOTE}" for stem in stems.values()])
    outbox, notes = Outbox(rejected.parent), dict[DroppedFile, Note]()
    if outbox.wants(["rejected"]):
        for file, text in sentences.items():
            # Named by the drop: a crash has the same file rejected once more, under another stem perhaps.
            content = {"file": file.name, "sentence": text, "path": f"{stems[file]}.json"}
            notes[file] = Note("rejected", file.origin, datetime.now(UTC), content)
        outbox.leave(notes.values())
    write_all_atomically({rejected / f"{stems[file]}{NOTE}": f"{text}\n" for file, text in sentences.items()})
    stuck: dict[DroppedFile, OSError] = {}
    for file, stem in stems.items():
        try:
            file.path.rename(rejected / f"{stem}.json")
        except FileNotFoundError:
            (rejected / f"{stem}{NOTE}").unlink()  # another link of the same file, which was moved already
        except OSError as error:
            (rejected / f"{stem}{NOTE}").unlink()
            stuck[file] = error
            if file in notes:
                outbox.remove(notes[file])
    sync_written(rejected)
    collect_rejected(len(sentences) - len(stuck))
    return stuck


def write_note(landing: Path, file: DroppedFile, sentence: str) -> None:
    """Say beside a file that stays why it does. Where nothing can be written, the log has to do.

    A file that somebody else left under the note's name is not touched: ours is one that holds what our copy of it,
    in ``.notes/``, holds.
    """
    note, copy = _note(landing, file), landing / NOTES / f"{file.stem}{NOTE}"
    text = f"{sentence}\n"
    with suppress(OperatorError):
        if os.path.lexists(note) and not _is_ours(note, copy):
            return
        make_own_folder(copy.parent)
        write_atomically(note, text)
        write_atomically(copy, text)


def remove_old_notes(landing: Path, waiting: Sequence[DroppedFile]) -> None:
    """Remove our notes, but those of the files that still wait."""
    kept = {_note(landing, file).name for file in waiting}
    with suppress(OSError):
        for copy in (landing / NOTES).iterdir():
            if copy.name in kept or not copy.name.endswith(NOTE):
                continue
            note = landing / copy.name
            if _is_ours(note, copy):
                note.unlink()
            copy.unlink()


def _is_ours(note: Path, copy: Path) -> bool:
    try:
        return read_file(note)[0] == read_file(copy)[0]
    except (OSError, RequestError):
        return False


def _note(landing: Path, file: DroppedFile) -> Path:
    return landing / f"{file.stem}{NOTE}"
