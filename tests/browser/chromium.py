"""The browser of the tests: a Chromium of this machine, which .ci/run brings where it can."""

from __future__ import annotations

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")
ADVICE = "no Chromium is on this machine: run .ci/bring-chromium as root, or name one in the variable CHROMIUM"


def find_chromium() -> str | None:
    """The program, by the variable CHROMIUM or by its usual names."""
    named = [os.environ.get("CHROMIUM", "")]
    for name in [*filter(None, named), *NAMES]:
        if path := shutil.which(name):
            return path
    return None
