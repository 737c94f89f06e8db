"""Is the answer good enough? The ladder, the machine that climbs it, and its budgets."""
