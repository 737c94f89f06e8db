"""Which worker runs what: the supervisor's sums of in-flight attempts. A worker that is gone runs nothing."""

from __future__ import annotations

from collections.abc import Iterable

from pointsman.state.messages import Load, Loads


class Census:
    """What each worker last said of itself, in which generation of the configuration."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[int, Loads]] = {}

    def tell(self, worker: int, generation: int, loads: Loads) -> None:
        """This is all that `worker` runs now."""
        self._told[worker] = (generation, loads)

    def forget(self, worker: int) -> None:
        self._told.pop(worker, None)

    def elsewhere(self, worker: int, generation: int) -> Loads:
        """What all but `worker` run on the endpoints of this generation."""
        return _sum(loads for other, (at, loads) in self._told.items() if other != worker and at == generation)

    def total(self, generation: int) -> Loads:
        return _sum(loads for at, loads in self._told.values() if at == generation)

    def __repr__(self) -> str:
        return f"<Census of {len(self._told)} workers>"


def _sum(many: Iterable[Loads]) -> Loads:
    summed: Loads = {}
    for loads in many:
        for endpoint, load in loads.items():
            so_far = summed.get(endpoint)
            summed[endpoint] = load if so_far is None else Load(so_far.in_flight + load.in_flight, so_far.tokens + load.tokens)
    return summed
