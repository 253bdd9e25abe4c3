"""Walking through a document beside a running pipeline: every command word for word, and what it asks for is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stack.waiting import wait_until
from tests.unit.documents.pages import Block
from tests.unit.documents.walk import Walk


@dataclass
class LiveWalk(Walk):
    """One walk in the home of a running stack."""

    patience_seconds: float = 300
    _said: dict[str, str] = field(default_factory=dict)

    def do_and_listen(self, blocks: Iterable[Block]) -> Mapping[str, str]:
        """Do what the blocks say, and wait for the end of it: by each command what it printed."""
        self._said = {}
        self.do(blocks)
        assert wait_until(self._is_idle, seconds=self.patience_seconds), "requests of the page are not done"
        return self._said

    def succeed(self, command: str) -> str:
        """What the command prints; fails with what it says."""
        printed = super().succeed(command)
        self._said[command] = printed
        return printed

    def _waits(self, command: str) -> str:
        return command

    def _request_for(self, verb: str) -> str:
        """The request that ended last: the one that a reader has just asked for."""
        assert verb == "undo", f"nobody has a request to {verb}"
        return self.last_request()

    def last_request(self) -> str:
        """The id of the request that ended last."""
        done = (self.home / "landing" / "done").glob("*.json")
        return max(done, key=lambda path: path.stat().st_mtime_ns).stem

    def _is_idle(self) -> bool:
        landing = self.home / "landing"
        return not list(landing.glob("*.json")) and not list((landing / "accepted").glob("*.json"))
