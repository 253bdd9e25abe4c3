"""The one error of this package: the machine, Docker or the setup does not let the stack do what was asked."""

from __future__ import annotations


class StackError(Exception):
    """``str(error)`` is the sentence to show: what is wrong and what to do about it."""
