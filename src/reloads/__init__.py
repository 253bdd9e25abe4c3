"""Daily loads and reloads of a date-partitioned Parquet warehouse.

The map of the rooms. Arrows go down only, never sideways::

    cli  airflow            ask for work, and show it
    runs  inspection        join the rooms below; answer questions that change nothing
    planning  rewriting     decide what is rewritten; rewrite it
    requests  warehouse     what is asked; what is published
    tables                  what a table is
    stores                  how an object store is asked
    vocabulary              the modules beside this one, which every room may use

Requests never see the warehouse, and rewriting never sees a request. ``docs/architecture.md`` lists every module.
"""
