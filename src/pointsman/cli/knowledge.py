"""What `pointsman check` says of the trained classifier: whose labels, which tiers it knows, who is dearer and not better."""

from __future__ import annotations

from typing import Any

import msgspec

from pointsman.classify.classifier import Classifier, classifier_of
from pointsman.classify.columns import Column, columns_of
from pointsman.classify.prices import tier_usd
from pointsman.core.settings import RouteSettings, Settings


class RouteKnowledge(msgspec.Struct, frozen=True):
    """One route that asks the trained stage."""

    route: str
    columns: dict[str, str]
    """Tier -> what speaks for it in the artifact."""
    unknown: tuple[str, ...]
    dominated: tuple[str, ...]
    """Sentences."""


class Knowledge(msgspec.Struct, frozen=True):
    """The classifier of a configuration."""

    version: str
    is_generic: bool
    labels: int | None
    """Rows it was trained on; None = the artifact does not say."""
    sentence: str
    """Name of the sentence embedder; "" = none serves."""
    why_no_sentence: str
    kernel: str
    """What computes the scores: `compiled (...)`, or `numpy, because ...`."""
    routes: tuple[RouteKnowledge, ...]

    def in_words(self) -> list[str]:
        """Lines for people, the first one about the artifact itself."""
        whose = "a generic guess, trained on public outcomes" if self.is_generic else "trained on your labels"
        rows = "" if self.labels is None else f", {self.labels:,} rows"
        lines = [f"classifier {self.version}: {whose}{rows}"]
        lines.append(f"sentence embedder: {self.sentence}" if self.sentence else f"no sentence embedder: {self.why_no_sentence}")
        lines.append(f"kernel: {self.kernel}")
        for route in self.routes:
            known = ", ".join(f"{tier} = {column}" for tier, column in route.columns.items())
            lines.append(f"route {route.route}: {known}")
            if route.unknown:
                lines.append(f"route {route.route}: unknown to the classifier, never chosen by its scores: {', '.join(route.unknown)}; "
                             "name their columns under classifier.models")
            lines += [f"route {route.route}: {sentence}" for sentence in route.dominated]
        return lines


def knowledge_of(settings: Settings) -> Knowledge | None:
    """None when no route asks for it. Raises ConfigError for an artifact that cannot serve."""
    from pointsman.wiring import build_graph, learned_of

    classifier = classifier_of(settings)
    if classifier is None:
        return None
    build_graph(settings, learned=learned_of(settings))  # whatever else only building shows
    rows = classifier.scorer.provenance.get("rows")
    return Knowledge(
        classifier.version, classifier.is_generic, rows if isinstance(rows, int) else None,
        classifier.sentence.name if classifier.sentence is not None else "", classifier.why_no_sentence, classifier.kernel,
        tuple(_of_route(settings, route, classifier) for route in settings.routes.values() if "embedding" in route.pipeline))


def flows_of(settings: Settings) -> tuple[str, ...]:
    """Who gets to read prompts beside the models, while a tier is chosen: sentences."""
    flows = [f"data flow: prompts of route {route.name} that no rule settles go to {route.remote.url} (stage remote)"
             for route in settings.routes.values() if "remote" in route.pipeline]
    if settings.classifier.sentence == "remote":
        flows.append(f"data flow: prompts of decisions that hang on little go to {settings.classifier.remote.url} (classifier.remote)")
    return tuple(flows)


def _of_route(settings: Settings, route: RouteSettings, classifier: Classifier) -> RouteKnowledge:
    found = columns_of(settings, route.ladder, classifier.models)
    named = {tier: " + ".join(f"{classifier.models[at]}{'' if share == 1 else f' x {share:.2g}'}" for at, share in column)
             for tier, column in found.items()}
    return RouteKnowledge(route.name, named, tuple(tier for tier in route.ladder if tier not in found),
                          _dominated(settings, found, classifier))


def _dominated(settings: Settings, found: dict[str, Column], classifier: Classifier) -> tuple[str, ...]:
    """Tiers that cost no less than another and were no better on the training labels."""
    means = classifier.scorer.provenance.get("mean_quality")
    if not isinstance(means, list) or len(means) != len(classifier.models):
        return ()
    quality = {tier: sum(means[at] * share for at, share in column) for tier, column in found.items()}
    usd = {tier: cost for tier in found if (cost := tier_usd(settings, tier)) is not None}
    sentences = []
    for tier, cost in usd.items():
        better = [other for other in usd if other != tier and usd[other] <= cost and quality[other] >= quality[tier]]
        if better:
            best = max(better, key=quality.__getitem__)
            sentences.append(f"{tier} costs no less than {best} and was no better on the labels ({quality[tier]:.2f} against "
                             f"{quality[best]:.2f}): a dollar spent there buys nothing on average")
    return tuple(sentences)


def as_data(knowledge: Knowledge | None) -> dict[str, Any] | None:
    """For `--json`."""
    return None if knowledge is None else msgspec.to_builtins(knowledge)
