"""The fleet that is simulated, what is wrong with it, and what it could do at best."""

from __future__ import annotations

from dataclasses import dataclass

from pointsman.testing import gpu_models
from pointsman.testing.engine_trouble import NONE, Trouble

MODEL = "Qwen/Qwen2.5-7B-Instruct"
GPU = "RTX 4090"
SLA_EXTRA_S, SLA_TIMES = 1.0, 2.0


@dataclass(frozen=True)
class Machines:
    """`endpoints` engines of one model. Bad ones: the second is slow, the fourth dies, the last lies (4 and more)."""

    endpoints: int = 8
    seconds: float = 30.0
    """How long arrivals come, in simulated seconds."""
    slow: float = 3.0
    dies_after: float = 0.5
    """Share of `seconds`."""
    is_healthy: bool = False
    """Nothing is wrong with any of them."""

    def troubles(self) -> list[Trouble]:
        troubles = [NONE] * self.endpoints
        if not self.is_healthy:
            troubles[1] = Trouble(slow=self.slow)
            troubles[3] = Trouble(dies_at=self.seconds * self.dies_after)
            if self.endpoints > 4:
                troubles[-1] = Trouble(lies=True)
            else:
                troubles[2] = Trouble(lies=True)
        return troubles

    @property
    def effective(self) -> float:
        """Healthy endpoints that would do the same work in the same time."""
        if self.is_healthy:
            return float(self.endpoints)
        return self.endpoints - (1 - 1 / self.slow) - (1 - self.dies_after)

    @property
    def gpu_hours(self) -> float:
        """Rented, from the first arrival to the last: a dead machine is not paid for."""
        lost = 0.0 if self.is_healthy else 1 - self.dies_after
        return (self.endpoints - lost) * self.seconds / 3600


def sla_s(prompt_tokens: int) -> float:
    """The longest time to first token that is in time: twice what an idle engine computes on the prompt, and a second."""
    timing = gpu_models.timing(gpu_models.gpu_named(GPU), gpu_models.model_named(MODEL))
    return SLA_EXTRA_S + SLA_TIMES * (timing.a + timing.b * prompt_tokens)


def usd_per_hour() -> float:
    return gpu_models.gpu_named(GPU).usd_per_hour
