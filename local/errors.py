"""The one error of this package: the machine or its setup does not let the stack do what was asked."""

from __future__ import annotations


class LocalError(Exception):
    """``str(error)`` is the sentence to show: what is wrong and what to do about it."""
