"""The ports of the processes here."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.native.ports import Ports, choose_ports


def test_the_next_free_port_is_chosen_when_8080_is_taken() -> None:
    chosen = choose_ports(Ports(), is_free=lambda port: port not in {8080, 8081})
    assert chosen.api == 8082


def test_two_stacks_never_share_a_port_even_if_one_has_only_taken_supervisors() -> None:
    first = choose_ports(Ports(), is_free=lambda _: True)
    second = choose_ports(Ports(), is_free=lambda port: port != first.supervisor)
    assert not set(astuple(first)) & set(astuple(second))


def test_the_ports_of_the_last_start_are_preferred() -> None:
    previous = Ports(api=8085, database=15440, supervisor=19009)
    assert choose_ports(previous, is_free=lambda _: True) == previous


def test_a_full_machine_is_an_error_with_a_cure() -> None:
    with pytest.raises(StackError, match="none of the ports 8080 to 9079 is free"):
        choose_ports(Ports(), is_free=lambda _: False)


def test_ports_are_kept_for_the_next_command(tmp_path: Path) -> None:
    Ports(api=8090).keep_in(tmp_path / "ports.json")
    assert Ports.kept_in(tmp_path / "ports.json").api == 8090
    assert Ports.kept_in(tmp_path / "nothing.json") == Ports()
