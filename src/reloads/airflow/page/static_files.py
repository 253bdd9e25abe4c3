"""The files of the page: its script and its styles, for whoever is logged in."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.staticfiles import StaticFiles

from reloads.airflow.page.refusals import not_found

FOLDER = Path(__file__).with_name("static")
_files = StaticFiles(directory=FOLDER, check_dir=False)

router = APIRouter()


@router.get("/{path:path}")
def send_file(path: str, request: Request) -> Response:
    """The file of that name; 304 where the browser's copy of it is the same."""
    with suppress(OSError, ValueError):  # a name that no file can have
        found, status = _files.lookup_path(path)
        if status and stat.S_ISREG(status.st_mode):
            return _files.file_response(found, status, request.scope)
    raise not_found(f"{path[:80]!r} is not a file of the page; load the page again")
