"""What the DAGs and assets are called: the one place that knows.

A prefix keeps them apart from those that somebody else's Airflow has already. The names below are without one.

======================  ==============================================================
``request_partitions``  the DAG that takes what is asked for
``rewrite_<table>``     the DAG that rewrites a table
``reloads_maintain``    the DAG that keeps the folders small
``landing``             the asset whose event says that something is to be done
``requested/<table>``   the asset whose event asks for days
``warehouse/<table>``   the asset whose event says that partitions were published
``requested``           the alias through which one task asks for days of many tables
``rewritten/<table>``   the alias through which a run says what it published
======================  ==============================================================
"""

from __future__ import annotations

from dataclasses import dataclass

REWRITE = "rewrite_"
PAGE = "reloads"
"""What the addresses of the Warehouse page begin with, below Airflow's ``/plugin/``."""


@dataclass(frozen=True)
class Names:
    """The names with the prefix of one deployment."""

    prefix: str = ""

    @property
    def intake_dag(self) -> str:
        """The DAG that takes what is asked for."""
        return f"{self.prefix}request_partitions"

    @property
    def maintain_dag(self) -> str:
        """The DAG that keeps the folders small."""
        return f"{self.prefix}reloads_maintain"

    def rewrite_dag(self, table: str) -> str:
        """The DAG that rewrites the table."""
        return f"{self.prefix}{REWRITE}{table}"

    def table_of(self, dag_id: str) -> str | None:
        """The table that the DAG would rewrite by its name; None for any other DAG."""
        start = f"{self.prefix}{REWRITE}"
        return dag_id.removeprefix(start) if dag_id.startswith(start) else None

    @property
    def landing_asset(self) -> str:
        """The asset whose event says that something is to be done."""
        return f"{self.prefix}landing"

    def request_asset(self, table: str) -> str:
        """The asset whose event asks for days of the table."""
        return f"{self.prefix}requested/{table}"

    def warehouse_asset(self, table: str) -> str:
        """The asset whose event says that partitions of the table were published."""
        return f"{self.prefix}warehouse/{table}"

    @property
    def requested_alias(self) -> str:
        """The alias through which one task asks for days of many tables."""
        return f"{self.prefix}requested"

    def rewritten_alias(self, table: str) -> str:
        """The alias through which a run says what it published."""
        return f"{self.prefix}rewritten/{table}"
