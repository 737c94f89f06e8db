"""What an artifact says of the rows of a table."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from pointsman.classify.heads.rehearsal import Rehearsal
from pointsman.learn.metrics import Floats


class Scores(msgspec.Struct, frozen=True):
    """What an artifact says of the rows of a table."""

    p: Floats
    lower: Floats
    foreign: NDArray[np.bool_]
    rehearsals: tuple[Rehearsal, ...] = ()
    """Of the artifact's stacks, columns as in `p`: what the policy goes by where there are any."""
