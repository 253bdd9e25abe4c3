"""The killing of processes lies in tests/support; this module goes with the import of test_undo that still names it."""

from tests.support.process_kill import SCRATCH, Killed, killed_after

__all__ = ["SCRATCH", "Killed", "killed_after"]
