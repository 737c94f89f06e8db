"""What one process has counted, as values that another can add up.

Why totals and not increments? A total may arrive twice, late, or after a newer one: the larger of two is the truth,
since counters only grow. Whoever adds up keeps what it has seen of each process and takes the growth.
"""

from __future__ import annotations

import msgspec

Labels = tuple[str, ...]


class Counts(msgspec.Struct, frozen=True, gc=False):
    """Rows of one process, all of them totals since its start. Rows that did not change may be left out."""

    counters: tuple[tuple[str, Labels, float], ...] = ()
    """Series, label values, total."""
    histograms: tuple[tuple[str, Labels, tuple[float, ...]], ...] = ()
    """Series, label values, one total per bucket, one for +Inf, then the sum."""

    @property
    def is_empty(self) -> bool:
        return not self.counters and not self.histograms
