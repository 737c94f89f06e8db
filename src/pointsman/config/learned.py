"""The section about what was learned: which artifact the trained stage goes by, and what it may spend."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from pointsman.config.fields import Duration, Name, on_or_off
from pointsman.config.remote import RemoteEmbedder
from pointsman.config.section import Section


class Classifier(Section):
    """What the stage `embedding` goes by, and what it may spend."""

    artifact: str = Field(default="default", min_length=1)
    """Directory of a trained artifact (`pointsman train DATA --out DIR`), relative to the working directory, or `default`: the one
    in the package. It is a generic guess, trained on public outcomes, and says so; your own labels beat it from a few hundred on.
    Read again at each reload; one that cannot be used leaves the old one serving."""
    sentence: Annotated[str, BeforeValidator(on_or_off), Field(min_length=1)] = "auto"
    """The sentence embedder for decisions that hang on little: `l3` or `l6` (MiniLM with three or six layers), a directory with its
    files, `remote` (see `remote` below), `off`, or `auto`: whatever is installed that the artifact was trained beside. `auto`: it helps where it is there, and
    nothing misses it where it is not."""
    sentence_deadline: Duration = 0.010
    """How long a decision waits for it; late counts as abstained, and the static scores decide. 10ms: below the noise of a network,
    and twice what the embedder needs for an ordinary prompt."""
    sentence_cpu: float = Field(default=0.05, gt=0, le=1, allow_inf_nan=False)
    """Share of one core that it may use in each process, averaged over some seconds and counted in time of the processor; what goes beyond
    is decided by the static scores, and so is everything while the router needs nine tenths of its core or more for requests. 0.05: ten
    or so vectors a second for ever and a hundred after a quiet time, which a router that is not full does not feel."""
    sentence_share: float = Field(default=0.03, gt=0, le=1, allow_inf_nan=False)
    """Share of a route's requests that it may be asked about, counted over the last hundred: those whose scores lie nearest to what they must
    reach. 0.03: so few that waiting for it is in no 95th percentile, and what more of them gain was within noise on public outcomes
    (docs/explanation/deciding.md). 1 asks wherever the decision may change at all."""
    remote: RemoteEmbedder = RemoteEmbedder()
    """The embedder elsewhere that `sentence: remote` means."""
    models: dict[Name, Annotated[str, Field(min_length=1, max_length=256)]] = {}
    """Tier -> what the artifact calls its model. Absent: found by the names of the tier, its pools and their models."""
