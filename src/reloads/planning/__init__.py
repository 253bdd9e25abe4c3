"""Which days are rewritten, and in which batches."""
