"""Findings as a configuration: which models become tiers, in what order, and why. Pure.

The ladder goes by size. Where nobody publishes a model's size its price stands in, as if it were a 70 B model's published
$0.88 per million tokens times the square of the ratio; then a word such as `mini` in its name, or in that of a sister which is then
smaller; a model about which nothing is known goes to the middle and is said to. Three rungs at most: the smallest, the largest, and the one nearest to the middle
between them on a logarithmic scale. The others stay pools that clients can ask for by name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from pointsman.config.known_models import (
    CHAT,
    EMBEDDING,
    FAMILY_B,
    bare,
    is_small_sister,
    key_of,
    kind_of,
    size_of,
    word_of,
)
from pointsman.config.known_prices import published_price, trio_of
from pointsman.config.sources import Finding, Listed, Source
from pointsman.core.price import TokenPrice

RUNGS: Final = {1: ("only",), 2: ("small", "large"), 3: ("small", "medium", "large")}
MANY: Final = 8
"""More chat models than this at one provider, and three of them are chosen: a first ladder is for reading."""
TINY_B: Final = 1.5
"""Billions of parameters below which a model is left off the ladder when there are others: it answers, but rarely right."""
MIDDLE_B: Final = 30.0
"""Where a model stands about which nothing is known."""
ANCHOR_B, ANCHOR_USD = 70.0, 0.88
"""Published mid-2026: a 70 B model at $0.88 per million tokens. Places models whose size nobody publishes."""
MODEL_NAME_MAX: Final = 256


class Offer(msgspec.Struct, frozen=True):
    """A model at one source."""

    source: Source
    id: str
    """As the source calls it."""
    context: int | None
    price: TokenPrice | None
    price_note: str
    """Whose figure the price is, and of when; empty without a price."""
    engine: str
    size_b: float | None = None


class Model(msgspec.Struct, frozen=True):
    """One model with everybody who serves it: a pool."""

    name: str
    offers: tuple[Offer, ...]
    weight: float
    """Billions of parameters, or what stands for them; only ever compared."""
    why: str
    """What the weight rests on, for the person."""
    basis: str = "size"
    """`size`, `price`, `word` or `guess`."""

    @property
    def is_guess(self) -> bool:
        return self.basis == "guess"

    @property
    def is_local(self) -> bool:
        return any(offer.source.is_local for offer in self.offers)

    @property
    def context(self) -> int | None:
        """The shortest that any of them says, since any of them may get the request."""
        return min((offer.context for offer in self.offers if offer.context is not None), default=None)


class Draft(msgspec.Struct, frozen=True):
    """A ladder, and what became of everything else."""

    rungs: tuple[tuple[str, Model], ...]
    """(tier name, model), the smallest first."""
    by_name: tuple[Model, ...] = ()
    """On no tier; clients may ask for them by name."""
    embeddings: tuple[Model, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    """(model or source, why) for what is not used at all."""


def chat_models(findings: Iterable[Finding], *, everything: bool = False) -> tuple[Model, ...]:
    """Every chat model that could be on a ladder, the smallest first; `everything` keeps a large provider's hundreds."""
    offers = [offer for finding in findings for offer in _offers(finding, CHAT, everything)]
    return tuple(sorted(_models(offers), key=lambda model: (model.weight, not model.is_local)))


def draft(findings: Sequence[Finding], chosen: Sequence[str] | None = None) -> Draft:
    """The ladder for what was found; `chosen` names the models to use (then all of them, at most three, are rungs)."""
    models = chat_models(findings, everything=chosen is not None)
    if chosen is None:
        rungs = _spread(models)
        by_name = tuple(model for model in models if model not in rungs)
    else:
        rungs, by_name = tuple(model for model in models if model.name in chosen)[:3], ()
    embeddings = _models([offer for finding in findings for offer in _offers(finding, EMBEDDING, False)])
    tiers = RUNGS[len(rungs)] if rungs else ()
    named = _named([*zip(rungs, tiers, strict=True), *((model, "") for model in (*by_name, *embeddings))], {"auto", "auto:auto", *tiers})
    last = len(rungs) + len(by_name)
    return Draft(
        rungs=tuple(zip(tiers, named[: len(rungs)], strict=True)),
        by_name=tuple(named[len(rungs):last]),
        embeddings=tuple(named[last:]),
        left_out=tuple(_left_out(findings, everything=chosen is not None)),
    )


# ---------------------------------------------------------------------------------------------------------
# From listings to models


def _offers(finding: Finding, kind: str, everything: bool) -> list[Offer]:
    listed = [model for model in finding.models if _kind(model) == kind and _is_usable(model.id)]
    if kind == CHAT and not everything:
        listed = _few(finding.source, listed)
    if kind == EMBEDDING and not finding.source.is_local:
        listed = listed[:2]
    return [_offer(finding.source, model) for model in listed]


def _few(source: Source, listed: list[Listed]) -> list[Listed]:
    """At most three of a long listing: a known family, else the smallest, middle and largest that tell their size."""
    if len(listed) <= MANY:
        return listed
    trio = trio_of(source.provider, tuple(model.id for model in listed))
    if len(trio) < 2:
        models = _models([_offer(source, model) for model in listed])
        spread = _spread(sorted((m for m in models if not m.is_guess), key=lambda model: model.weight)) or models[:1]
        trio = tuple(model.offers[0].id for model in spread)
    return [model for model in listed if model.id in trio]


def _kind(listed: Listed) -> str:
    by_name = kind_of(listed.id)
    return listed.kind if listed.kind and by_name == CHAT else by_name


def _is_usable(name: str) -> bool:
    return 0 < len(name) <= MODEL_NAME_MAX and name.isascii() and name.isprintable() and name == name.strip()


def _offer(source: Source, listed: Listed) -> Offer:
    price, note = listed.price, f"{source.title}'s own listing" if listed.price else ""
    if price is None and (known := published_price(source.provider, listed.id)) is not None:
        price, note = known.price, f"{known.source}, {known.as_of}"
    return Offer(source, listed.id, listed.context, price, note, _engine(source, listed), listed.size_b)


def _engine(source: Source, listed: Listed) -> str:
    if source.engine:
        return source.engine
    owners = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llamacpp", "library": "ollama"}
    titles = {"Ollama": "ollama", "SGLang": "sglang"}
    return owners.get(listed.owned_by.lower(), titles.get(source.title, "openai")) if source.is_local else "openai"


def _models(offers: Iterable[Offer]) -> list[Model]:
    """Offers of one model together, in the order of their first; one per address."""
    together: dict[tuple[str, ...], dict[str, Offer]] = {}
    for offer in offers:
        here = together.setdefault(key_of(offer.id), {})
        known = here.get(offer.source.url)
        if known is None or ("instruct" in offer.id.lower() and "instruct" not in known.id.lower()):
            here[offer.source.url] = offer
    models = [_model(tuple(here.values())) for here in together.values()]
    return [_beside_its_sisters(model, models) if model.is_guess else model for model in models]


def _beside_its_sisters(model: Model, models: Sequence[Model]) -> Model:
    """`gpt-5.6` says nothing by itself, but beside `gpt-5.6-mini` it is the larger one."""
    for other in models:
        if is_small_sister(other.name, model.name):
            return msgspec.structs.replace(model, weight=FAMILY_B, basis="word",
                                           why=f"size and price are unknown; {other.name} is its small sister")
    return model


def _model(offers: tuple[Offer, ...]) -> Model:
    name = _public_name(offers[0].id)
    counted = next((offer.size_b for offer in offers if offer.size_b is not None), None)
    if counted is not None:
        return Model(name, offers, counted, f"{counted:.3g} B parameters, says {offers[0].source.title}")
    size = next((size for offer in offers if (size := size_of(offer.id)) is not None), None)
    if size is not None:
        return Model(name, offers, size, f"{size:g} B parameters by its name")
    priced = next((offer for offer in offers if offer.price is not None), None)
    if priced is not None and priced.price is not None:
        return Model(name, offers, weight_of(priced.price), f"its size is not published; placed by price ({priced.price_note})", "price")
    if (word := word_of(name)) is not None:
        return Model(name, offers, word[1], f"{word[0]!r} in its name; size and price are unknown", "word")
    return Model(name, offers, MIDDLE_B, "size and price are unknown: put in the middle, move it if you know better", "guess")


def _public_name(id: str) -> str:
    """What clients ask for: the id, without the folders of a file that an engine was started on."""
    return bare(id) if id.startswith(("/", ".")) or "\\" in id or id.count("/") > 1 or id.endswith(".gguf") else id


def weight_of(price: TokenPrice) -> float:
    """What a price says about a size nobody publishes: three tokens read for each one written, against the anchor."""
    blended = (3 * price.input + price.output) / 4
    return ANCHOR_B * math.sqrt(blended / ANCHOR_USD)


def place_in_words(draft: Draft, rung: int) -> str:
    """Why the model of this rung (0 is the first) stands there: what is known of it, and how that compares."""
    _, model = draft.rungs[rung]
    others = [other for _, other in draft.rungs if other is not model]
    if not others:
        return f"{model.why}; the only model"
    if model.is_guess:
        return model.why
    if rung in (0, len(others)):
        compared = "smallest" if rung == 0 else "largest"
        if all(other.weight == model.weight for other in others):
            compared = "first of equals" if rung == 0 else "last of equals"
        return f"{model.why}; {'priced as ' if model.basis == 'price' else ''}the {compared}"
    return f"{model.why}; between the two"


def _named(models: Sequence[tuple[Model, str]], taken: set[str]) -> list[Model]:
    """Each (model, its tier) under a name that means nothing else: not a tier, not the route, not another model."""
    known = {key_of(model.name) for model, _ in models}
    given: set[tuple[str, ...]] = set()
    named = []
    for model, tier in models:
        name = model.name
        # By key, since a provider's `x` also goes by `provider/x`.
        while name in taken - {tier} or key_of(name) in given or (name != model.name and key_of(name) in known):
            name += "-model"
        given.add(key_of(name))
        named.append(msgspec.structs.replace(model, name=name))
    return named


# ---------------------------------------------------------------------------------------------------------
# From models to rungs


def _spread(models: Sequence[Model]) -> tuple[Model, ...]:
    """At most three of them, which are in ascending order: both ends and the middle."""
    if len(models) <= 3:
        return tuple(models)
    able = [model for model in models if model.weight >= TINY_B]
    if len(able) < 2:
        able = list(models)
    # What can be placed only by a guess is for a ladder that has nothing better.
    known = [model for model in able if not model.is_guess]
    able = known if len(known) >= 2 else able
    if len(able) <= 3:
        return tuple(able)
    first, last = able[0], able[-1]
    middle = math.sqrt(first.weight * last.weight)
    between = min(able[1:-1], key=lambda model: (abs(math.log(model.weight / middle)), not model.is_local))
    return first, between, last


def _left_out(findings: Iterable[Finding], *, everything: bool) -> Iterable[tuple[str, str]]:
    for finding in findings:
        title = finding.source.title
        chat = [model for model in finding.models if _kind(model) == CHAT and _is_usable(model.id)]
        kept = len(_offers(finding, CHAT, everything))
        if kept < len(chat):
            yield f"{len(chat) - kept} more of {title}", f"three of its {len(chat)} chat models make a first ladder"
        others: dict[str, list[str]] = {}
        for model in finding.models:
            if (kind := _kind(model)) not in (CHAT, EMBEDDING):
                others.setdefault(kind, []).append(model.id)
            elif not _is_usable(model.id):
                others.setdefault("a name that cannot stand in a request header", []).append(repr(model.id[:40]))
        for kind, names in others.items():
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            yield f"{', '.join(names[:2])}{more} ({title})", f"no chat model: {kind}"
