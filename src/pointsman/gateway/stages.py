"""Who may be asked about a route's open decisions, made from settings; and what of them outlives a reload.

What a judge has spent, what an embedder has answered and what callers have shown is earned: it stays as long as the settings that
it was earned under.
"""

from __future__ import annotations

from random import SystemRandom

from pointsman.classify.classifier import Classifier
from pointsman.classify.columns import columns_of
from pointsman.classify.decider import Decider
from pointsman.classify.embedders.remote import Elsewhere
from pointsman.classify.embedding import Embedding
from pointsman.classify.policy import by_price
from pointsman.classify.prices import tier_usd
from pointsman.classify.priors import Priors
from pointsman.classify.targets import target_of
from pointsman.core.clock import SystemClock
from pointsman.core.protocols import ConsultingStage, Posts
from pointsman.core.settings import Settings
from pointsman.gateway.graph import Graph, Learned
from pointsman.gateway.judging import NAME as JUDGE
from pointsman.gateway.judging import JudgeStage
from pointsman.gateway.remote import NAME as REMOTE
from pointsman.gateway.remote import RemoteStage
from pointsman.gateway.remote_sentences import RemoteSentences
from pointsman.gateway.sentences import BAND, Sentences, SentenceStage
from pointsman.pools.fleet import Fleet


def consulting_of(settings: Settings, name: str, learned: Learned, fleet: Fleet, posts: Posts | None,
                  old: Graph | None = None) -> tuple[ConsultingStage, ...]:
    """In the order in which they are asked. `old`: the graph whose stages may hand on what they have earned."""
    before = old.deciders.get(name) if old is not None else None
    return (*_second_opinion(settings, name, learned), *_outside(settings, name, posts, before), *_judges(settings, name, fleet, before))


def sentences_of(settings: Settings, classifier: Classifier | None, old: Sentences | RemoteSentences | None,
                 posts: Posts | None) -> Sentences | RemoteSentences | None:
    """The way to sentence vectors; the old one where nothing about it has changed, since its memory is warm."""
    if classifier is None or classifier.sentence is None:
        return None
    if isinstance(classifier.sentence, Elsewhere):
        made_of = (classifier.sentence, settings.classifier.remote)
        return old if isinstance(old, RemoteSentences) and old.made_of == made_of else RemoteSentences(*made_of, posts)
    share, patience_s = settings.classifier.sentence_cpu, settings.classifier.sentence_deadline_s
    if isinstance(old, Sentences) and (old.digest, old.cpu_share, old.patience_s) == (classifier.sentence.digest, share, patience_s):
        return old
    return Sentences(classifier.sentence, SystemClock().now, share, patience_s)


def _second_opinion(settings: Settings, route: str, learned: Learned) -> tuple[ConsultingStage, ...]:
    """The trained scores again, with a sentence vector."""
    classifier, sentences = learned.classifier, learned.sentences
    if classifier is None or sentences is None or Embedding.name not in settings.routes[route].pipeline:
        return ()
    columns = columns_of(settings, settings.routes[route].ladder, classifier.models)
    embedding = Embedding(classifier.scorer, columns, is_generic=classifier.is_generic)
    target, share = target_of(settings.routes[route]), settings.classifier.sentence_share
    order = by_price(list(columns), {tier: tier_usd(settings, tier) for tier in columns})
    band = classifier.band(columns, order, settings.routes[route].default_tier, target, share)
    deadline_s = sentences.deadline_s if isinstance(sentences, RemoteSentences) else settings.classifier.sentence_deadline_s
    return (SentenceStage(embedding, sentences, deadline_s, BAND if band is None else band, share),)


def priors_of(settings: Settings, name: str, learned: Learned, old: Graph | None) -> Priors | None:
    """What callers' outcomes have shown of a route's scores, as long as the same stages make them from the same artifact."""
    before = old.deciders.get(name) if old is not None else None
    if old is None or before is None or before.route.pipeline != settings.routes[name].pipeline:
        return None
    versions = [known.classifier.version if known.classifier is not None else "" for known in (learned, old.learned)]
    return before.priors if versions[0] == versions[1] and settings.routes[name].priors == "learn" else None


def _outside(settings: Settings, name: str, posts: Posts | None, before: Decider | None) -> tuple[ConsultingStage, ...]:
    """A route's classifier elsewhere. What it has shown and said stays as long as its settings do."""
    if REMOTE not in settings.routes[name].pipeline:
        return ()
    old = next((stage for stage in before.consulting if isinstance(stage, RemoteStage)), None) if before is not None else None
    return (RemoteStage(settings.routes[name], settings, posts, old.standing if old is not None else None),)


def _judges(settings: Settings, name: str, fleet: Fleet, before: Decider | None) -> tuple[ConsultingStage, ...]:
    """A route's judge. What it has spent and shown stays as long as its settings do."""
    route = settings.routes[name]
    if JUDGE not in route.pipeline:
        return ()
    old = next((stage for stage in before.consulting if isinstance(stage, JudgeStage)), None) if before is not None else None
    pool = route.judge.pool or settings.tiers[route.ladder[0]].pools[0]
    return (JudgeStage(route, pool, fleet, SystemRandom(), old.standing if old is not None else None),)
