"""The homes of these tests lie in memory."""

from tests.support.scratch import tmp_path_in_memory

__all__ = ["tmp_path_in_memory"]
