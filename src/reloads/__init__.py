"""Daily loads and reloads of a date-partitioned Parquet warehouse, as one event-driven pipeline."""
