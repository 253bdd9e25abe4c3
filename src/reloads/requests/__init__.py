"""Who asked for which days, and where that stands. This room never sees the warehouse."""
