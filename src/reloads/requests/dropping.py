"""Dropping a request: a program asks as a person does, by a file in the drop folder that appears there whole."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

from reloads.files import free_name, make_folder, write_atomically
from reloads.requests.drop_folder import read_file
from reloads.requests.request import ReloadRequest
from reloads.requests.request_file import parse_json


def format_request(request: ReloadRequest) -> str:
    """The content of the file that asks for it."""
    return json.dumps(request.model_dump(mode="json", exclude_defaults=True), indent=2) + "\n"


def drop_request(landing: Path, request: ReloadRequest, *, label: str) -> str:
    """Put the request into the drop folder; returns the name of the file, ``<label>-<six letters>.json``."""
    make_folder(landing)
    name = f"{free_name(landing, f'{label}-{uuid4().hex[:6]}', endings=('.json',))}.json"
    write_atomically(landing / name, format_request(request))
    return name


def drop_copy(landing: Path, file: Path, *, requested_by: str | None) -> str:
    """Put a copy of a request file into the drop folder, in the name of who asks where it names nobody.

    Returns its name there. Raises ``RequestError`` for a file that holds no requests.
    """
    make_folder(landing)
    items = parse_json(read_file(file)[0])
    for item in items:
        # A record that is put back has its own.
        if requested_by and "id" not in item:
            item.setdefault("requested_by", requested_by)
    name = f"{free_name(landing, f'{file.stem}-{uuid4().hex[:6]}', endings=('.json',))}.json"
    write_atomically(landing / name, json.dumps(items, indent=2, ensure_ascii=False) + "\n")
    return name
