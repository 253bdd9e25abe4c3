"""Names: with a prefix nothing is called as somebody else's, and a DAG leads back to its table."""

from __future__ import annotations

import pytest

from reloads.errors import OperatorError
from reloads.names import Names
from reloads.settings import Settings


@pytest.mark.parametrize("prefix", ["", "shop_", "rewrite_"])
def test_a_dag_leads_back_to_its_table(prefix: str) -> None:
    names = Names(prefix)
    assert names.table_of(names.rewrite_dag("orders")) == "orders"
    assert names.table_of(names.rewrite_dag("rewrite_orders")) == "rewrite_orders"


def test_a_dag_of_somebody_else_is_of_no_table() -> None:
    assert Names("shop_").table_of("rewrite_orders") is None
    assert Names().table_of("request_partitions") is None


@pytest.mark.parametrize("prefix", ["Shop_", "1_", "a-b", "a b", "_", "ä"])
def test_a_prefix_that_a_dag_cannot_have_is_refused(prefix: str) -> None:
    with pytest.raises(OperatorError, match=r"RELOADS_PREFIX='.*' is not valid: .*; write one like reloads_"):
        Settings.from_environment({"RELOADS_PREFIX": prefix})
