"""Talking to the running supervisor of a stack."""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from xml.parsers.expat import ExpatError
from xmlrpc.client import Error, Fault, ServerProxy, Transport

from supervisor.xmlrpc import Faults

from stack.loopback import HOST


class _ImpatientTransport(Transport):
    """A supervisor that hangs must not hang the command."""

    def make_connection(self, host: Any) -> HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = 10
        return connection


@dataclass(frozen=True)
class Program:
    """One program as supervisor sees it; ``started_at`` in seconds since 1970, ``state`` in its words."""

    name: str
    state: str
    pid: int
    started_at: int
    description: str

    @property
    def is_running(self) -> bool:
        """Whether it has been up for the seconds it takes to count."""
        return self.state == "RUNNING"

    @property
    def is_stopped(self) -> bool:
        """Whether it has ended and stays so."""
        return self.state in ("STOPPED", "EXITED", "FATAL")


class Supervisor:
    """The supervisor that listens at a port of the loopback interface."""

    def __init__(self, port: int, password: str) -> None:
        self._url = f"http://local:{password}@{HOST}:{port}/RPC2"

    def _call(self, method: str, *arguments: object) -> Any:
        with ServerProxy(self._url, transport=_ImpatientTransport()) as server:
            return getattr(server.supervisor, method)(*arguments)

    def is_answering(self) -> bool:
        """Whether it is there and ours; another stack's refuses the password."""
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (OSError, HTTPException, Error, ExpatError):
            return False

    def pid(self) -> int:
        """The process id of supervisor itself."""
        return int(self._call("getPID"))

    def programs(self) -> list[Program]:
        """All programs, in the order of the configuration."""
        return [
            Program(p["name"], p["statename"], p["pid"], p["start"], p["description"])
            for p in self._call("getAllProcessInfo")
        ]

    def start(self, name: str) -> None:
        """Start a program, without waiting; one that runs is left alone."""
        self._call_unless(Faults.ALREADY_STARTED, "startProcess", name, False)

    def stop(self, name: str) -> None:
        """Ask a program to end, without waiting; supervisor kills it when its time is up."""
        self._call_unless(Faults.NOT_RUNNING, "stopProcess", name, False)

    def insist(self, name: str) -> None:
        """Ask a program that is about to end once more."""
        self._call_unless(Faults.NOT_RUNNING, "signalProcess", name, "TERM")

    def shut_down(self) -> None:
        """End all programs and supervisor, without waiting."""
        self._call_unless(Faults.SHUTDOWN_STATE, "shutdown")

    def _call_unless(self, fault: int, method: str, *arguments: object) -> None:
        """Call, and take ``fault`` as success: what was asked for is so already."""
        try:
            self._call(method, *arguments)
        except Fault as error:
            if error.faultCode != fault:
                raise
