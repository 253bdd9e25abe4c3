"""A process that dies between two steps: before any of the calls that change a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from reloads.stores.object_store import ObjectStore

STEPS = ("rename", "replace", "link", "unlink", "mkdir", "rmdir", "utime")
REQUESTS = ("create", "write", "replace", "_upload", "_copy", "remove")
"""Those that change an object store."""

SCRATCH = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where many small homes are made quickly: a folder in memory, or the default of temporary files."""


class Killed(BaseException):
    """The process died here; no handler of errors may see it."""


@contextmanager
def killed_after(steps: int | None, home: Path) -> Iterator[None]:
    """Die before the next step that changes a folder or a store once so many were made, and let nobody clean up."""
    steps_made = count()

    def dying(step: Callable[..., Any]) -> Callable[..., Any]:
        def make_step_or_die(*arguments: Any, **options: Any) -> Any:
            if steps is not None and next(steps_made) >= steps:
                raise Killed
            return step(*arguments, **options)

        return make_step_or_die

    with ExitStack() as patches:
        for name in REQUESTS:
            patches.enter_context(patch.object(ObjectStore, name, dying(getattr(ObjectStore, name))))
        for name in STEPS:
            patches.enter_context(patch.object(os, name, dying(getattr(os, name))))
        try:
            yield
        finally:
            _release_locks(home)


def _release_locks(home: Path) -> None:
    """Close the files below the home: the locks of a process end with it."""
    for handle in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):
            if handle.readlink().is_relative_to(home):
                os.close(int(handle.name))
