"""Pages that are written from the code: ``python -m docs.site.reference [FOLDER]`` writes them anew."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.site.api_page import api_page
from docs.site.command_page import commands_page
from docs.site.model_pages import request_page, settings_page, table_page
from docs.site.navigation import CLONE

FOLDER = CLONE / "docs" / "reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "request.md": request_page,
    "table.md": table_page,
    "settings.md": settings_page,
    "commands.md": commands_page,
    "api.md": api_page,
}


def write_reference(folder: Path) -> None:
    """Write all pages into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (folder / name).write_text(make().rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_reference(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
