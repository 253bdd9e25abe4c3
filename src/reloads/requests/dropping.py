"""Dropping a request: a program asks as a person does, by a file in the drop folder that appears there whole."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

from reloads.files import free_name, make_folder, write_atomically
from reloads.requests.request import ReloadRequest


def format_request(request: ReloadRequest) -> str:
    """The content of the file that asks for it."""
    return json.dumps(request.model_dump(mode="json", exclude_defaults=True), indent=2) + "\n"


def drop_request(landing: Path, request: ReloadRequest, *, label: str) -> str:
    """Put the request into the drop folder; returns the name of the file, ``<label>-<six letters>.json``."""
    make_folder(landing)
    name = f"{free_name(landing, f'{label}-{uuid4().hex[:6]}', endings=('.json',))}.json"
    write_atomically(landing / name, format_request(request))
    return name
