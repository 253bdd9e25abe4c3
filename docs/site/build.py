"""Build the site: ``python -m docs.site.build [FOLDER]``; a warning ends it. Nothing is fetched."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from sphinx.cmd.build import main as run_sphinx

from docs.site.navigation import CLONE
from docs.site.staging import lay_out

SITE = CLONE / ".local" / "site"


def build(site: Path) -> int:
    """Build the pages into ``site``; the exit code is Sphinx's."""
    shutil.rmtree(site, ignore_errors=True)
    with TemporaryDirectory() as work:
        pages = Path(work, "pages")
        lay_out(pages)
        settings = ["-c", str(Path(__file__).parent), "-d", str(Path(work, "doctrees"))]
        return run_sphinx(
            ["-b", "html", "--quiet", "--fail-on-warning", "--keep-going", *settings, str(pages), str(site)]
        )


def main() -> int:
    """Build, and say where the first page is."""
    site = Path(sys.argv[1]).absolute() if sys.argv[1:] else SITE
    if code := build(site):
        return code
    print(f"open {site / 'index.html'} in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
