"""The chain lies in tests/support; this module goes with the imports of the unit tests that still name it."""

from tests.support.chain import NOW, STATES, Chain, JsonBatch, changed

__all__ = ["NOW", "STATES", "Chain", "JsonBatch", "changed"]
