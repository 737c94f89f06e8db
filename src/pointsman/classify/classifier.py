"""The trained half of deciding, read from disk: an artifact's scorer, and the sentence embedder that goes with it.

Reading happens when a configuration is taken up, never in the path. What cannot be used is a configuration error with both
versions in it, so that a reload keeps what serves and says why.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from pointsman.classify.columns import Column, is_of_places
from pointsman.core.settings import ClassifierSettings, Settings
from pointsman.errors import ArtifactRefused, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pointsman.artifact import Artifact
    from pointsman.classify.asking import Opinions
    from pointsman.classify.embedders.embedder import Embedder
    from pointsman.classify.embedders.remote import Elsewhere
    from pointsman.classify.embedding import Predicts
    from pointsman.classify.heads.rehearsal import Rehearsal
    from pointsman.classify.targets import QualityTarget

DEFAULT = "default"
STAGE = "embedding"
REMOTE = "remote"
"""What `sentence` says for an embedder elsewhere."""


class Classifier:
    """One artifact, ready to score."""

    def __init__(self, scorer: Predicts, *, version: str, is_generic: bool, source: str = "",
                 sentence: Embedder | Elsewhere | None = None, why_no_sentence: str = "", rehearsals: Sequence[Rehearsal] = (),
                 opinions: Opinions | None = None) -> None:
        """`is_generic`: trained on other people's traffic, whatever `calibrated` its scores are there. `sentence`: the embedder of this
        process, or what is known of one elsewhere. `rehearsals`: of each stack
        that serves, what it expected of labelled rows before it saw their labels, and what came. `opinions`: what a sentence vector made of
        those rows; None = nobody knows."""
        self.scorer, self.version, self.is_generic, self.source = scorer, version, is_generic, source
        self.sentence, self.why_no_sentence = sentence, why_no_sentence
        self.rehearsals, self.opinions = tuple(rehearsals), opinions
        # Columns from the cheapest on -> what was rehearsed with them: routes share ladders, and rehearsing takes tens of milliseconds.
        self._told: dict[tuple[int, ...], list[tuple[float, ...] | None]] = {}

    @property
    def models(self) -> tuple[str, ...]:
        """What its columns are called."""
        return self.scorer.models

    @property
    def kernel(self) -> str:
        """What computes the scores: `compiled (...)`, or `numpy, because ...`."""
        return self.scorer.kernel

    def allowances(self, columns: Mapping[str, Column], order: Sequence[str]) -> dict[str, tuple[float, ...]]:
        """For the policy: by reference tier, how much less than it a tier may be expected to reach. `order`: the tiers of `columns`,
        cheapest first. Empty for a generic artifact, and where too few labels tell."""
        if self.is_generic or not self.rehearsals or any(len(columns[tier]) != 1 for tier in order):
            return {}
        from pointsman.classify.heads.rehearsal import together

        places = tuple(columns[tier][0][0] for tier in order)
        if places not in self._told:
            self._told[places] = [together(self.rehearsals, places, place) for place in places]
        return {tier: told for tier, told in zip(order, self._told[places], strict=True) if told is not None}

    def band(self, columns: Mapping[str, Column], order: Sequence[str], reference: str, target: QualityTarget, share: float) -> float | None:
        """How near to what it must reach a score has to lie to be worth a sentence vector, so that at most `share` of the requests are
        (`classify.asking`). None = the artifact does not tell."""
        if self.opinions is None:
            return None
        return self.opinions.band(columns, order, reference, target, self.allowances(columns, order), share)

    def __repr__(self) -> str:
        kind = "generic" if self.is_generic else "own"
        return f"<Classifier {self.version} [{kind}, {len(self.models)} columns, sentence {'on' if self.sentence else 'off'}]>"


def default_artifact() -> Path:
    """Where the shipped artifact is, or would be."""
    return Path(str(files("pointsman.classify").joinpath("default_artifact")))


def needs_classifier(settings: Settings) -> bool:
    """Some route asks the trained stage."""
    return any(STAGE in route.pipeline for route in settings.routes.values())


def classifier_of(settings: Settings, old: Classifier | None = None, *, with_sentence: bool = True) -> Classifier | None:
    """The classifier of a configuration; None when no route asks for one. Raises ConfigError.

    `old` is kept when it is the same artifact with the same embedder: its memory is warm. A process that decides nothing
    needs no sentence embedder.
    """
    if not needs_classifier(settings):
        return None
    return load(settings.classifier, settings.source, old, with_sentence=with_sentence)


def load(settings: ClassifierSettings, source: str = "", old: Classifier | None = None, *, with_sentence: bool = True) -> Classifier:
    """Reads and checks everything that `classifier` names. Raises ConfigError, naming both versions where two differ."""
    from pointsman.artifact import read
    from pointsman.classify.asking import Opinions
    from pointsman.classify.heads.ladder import Ladder, is_ladder
    from pointsman.classify.heads.query import Query
    from pointsman.classify.heads.rehearsal import of_artifact
    from pointsman.classify.heads.scorer import Scorer

    path = default_artifact() if settings.artifact == DEFAULT else Path(settings.artifact)
    try:
        artifact = read(path)
        if old is not None and old.version == artifact.version and old.source == _source(settings):
            return old
        scorer: Predicts = Ladder.load(artifact) if is_ladder(artifact) else Scorer.load(artifact)
        scorer.row(Query.of_prompt("warm up"))
        if with_sentence or settings.sentence not in ("auto", "off"):  # what was asked for by name is checked wherever it is read
            sentence, why = _sentence(settings, artifact, source)
        if not with_sentence:
            sentence, why = None, "this process decides nothing"
        rehearsals = of_artifact(artifact, with_sentence=sentence is not None)
    except ArtifactRefused as refused:
        hint = ("the package is incomplete; install it again, or take `embedding` out of the pipelines"
                if settings.artifact == DEFAULT else "name another one, or `default`")
        raise ConfigError((f"{source or 'configuration'}: classifier.artifact: {refused}; {hint}",)) from refused
    is_generic = is_of_places(scorer.models) or bool(artifact.manifest.get("generic", False))
    return Classifier(scorer, version=artifact.version, is_generic=is_generic, source=_source(settings),
                      sentence=sentence, why_no_sentence=why, rehearsals=rehearsals,
                      opinions=Opinions.of_artifact(artifact) if sentence is not None else None)


def _source(settings: ClassifierSettings) -> str:
    remote = settings.remote
    return f"{settings.artifact}\0{settings.sentence}\0{remote.model}\0{remote.dims}\0{remote.max_chars}"


def _sentence(settings: ClassifierSettings, artifact: Artifact, source: str) -> tuple[Embedder | Elsewhere | None, str]:
    """The embedder that the artifact's second stack was trained beside, or why there is none.

    Raises ConfigError when one was asked for by name and cannot serve; `auto` does without.
    """
    from pointsman.classify.embedders.remote import elsewhere_of
    from pointsman.classify.embedders.sentence import load_sentence
    from pointsman.classify.embedders.vault import Absent

    wanted = settings.sentence
    if wanted == "off":
        return None, "it is turned off"
    trained = artifact.features.get("sentence")
    if not trained:
        return _without(source, wanted, "the artifact was trained without a sentence embedder", "train it again with --embedder, or write `auto`")
    elsewhere = elsewhere_of(trained)
    if wanted == REMOTE or elsewhere is not None:
        return _elsewhere(settings, elsewhere, trained["name"], source)
    try:
        embedder = load_sentence(trained["name"] if wanted == "auto" else wanted)
    except (Absent, OSError) as absent:
        return _without(source, wanted, str(absent), "or write `auto`")
    if embedder.digest != trained["digest"]:
        return _without(source, wanted, f"the artifact was trained beside {trained['name']} {trained['digest'][:12]}, here is {embedder.name} "
                                f"{embedder.digest[:12]}", "train it again with what is installed here, or install what it was trained beside")
    embedder.embed(("warm up",))  # the first run of a session allocates; no request should wait for that
    return embedder, ""


def _elsewhere(settings: ClassifierSettings, trained: Elsewhere | None, name: str, source: str) -> tuple[Elsewhere | None, str]:
    """What the artifact knows of the embedder that `remote` names. That it still answers as it did shows when it is asked."""
    remote, wanted = settings.remote, settings.sentence
    if trained is None:
        return _without(source, wanted, f"the artifact was trained beside {name}, which runs in this process",
                        f"train it again with --embedder {remote.url}#{remote.model}, or write `auto`")
    if wanted != REMOTE:
        return _without(source, wanted, f"the artifact was trained beside the embedder {trained.model} elsewhere, and prompts go nowhere unasked",
                        f"write `remote`, and where {trained.model} is under classifier.remote")
    for setting, theirs, ours in (("model", trained.model, remote.model), ("dims", trained.asked_dims, remote.dims),
                                  ("max_chars", trained.max_chars, remote.max_chars)):
        if theirs != ours:
            return _without(source, wanted, f"the artifact was trained with {setting} {theirs}, and classifier.remote.{setting} is {ours}",
                            f"write {setting}: {theirs}, or train it again")
    return trained, ""


def _without(source: str, wanted: str, why: str, hint: str) -> tuple[None, str]:
    if wanted != "auto":
        raise ConfigError((f"{source or 'configuration'}: classifier.sentence: {wanted!r} cannot serve: {why}; {hint}",))
    return None, why
