"""What the serving policy would choose, for a whole table at once: the same rule as `classify.policy`, in columns.

Only the part that scores and prices decide: no gate, no session, no load. A test holds it to the policy itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.policy import allowed, most

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.intp]


def chosen(p: Floats, lower: Floats, order: Sequence[int], reference: int, quality: float, foreign: NDArray[np.bool_] | None = None,
           allowances: Sequence[float] | None = None) -> Places:
    """(n,) the place of each row's model: the first in `order` (cheapest first) that reaches `quality`; the reference clears by
    definition. With `allowances` (by quality, of this reference) a model reaches it that is expected to lose no more than that,
    without them one whose lower bound reaches `quality` of the reference's expectation. Rows unlike all labels go to the reference."""
    if allowances is None:
        clears = lower >= (quality * p[:, reference])[:, None]
    else:
        allowance = np.minimum(allowed(allowances, quality), most(quality) * p[:, reference])
        clears = p >= (p[:, reference] - allowance)[:, None]
    clears[:, reference] = True
    ranked = clears[:, list(order)]
    found = np.asarray(order, dtype=np.intp)[np.argmax(ranked, axis=1)]
    return found if foreign is None else np.where(foreign, reference, found)


def at_price(p: Floats, usd: Floats, worth: float) -> Places:
    """(n,) the model with the most expected quality less its price, `worth` being the price of one unit of quality."""
    return np.asarray(np.argmax(p - usd / worth if worth > 0 else -np.broadcast_to(usd, p.shape), axis=1), dtype=np.intp)


def at_worth(p: Floats, price: Floats, weight: float) -> Places:
    """(n,) the tier with the most expected quality less its price, `price` (n, m) being a share of the dearest's and `weight` what
    that is worth in quality; of equal ones the first."""
    return np.asarray(np.argmax(p - weight * price, axis=1), dtype=np.intp)
