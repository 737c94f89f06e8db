"""What no field can know by itself about those whom a decision asks over HTTP: where they stand, and whether they can be asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pointsman.config.learned import Classifier
from pointsman.config.problems import Loc, Report, near
from pointsman.config.schema import Route

_OURS: Final = frozenset(("host", "content-length", "content-type", "transfer-encoding", "connection", "accept", "accept-encoding",
                          "user-agent", "expect", "te", "upgrade"))
"""Headers that a request cannot go without or must not have: ours to write."""

CheckUrl = Callable[[str, Loc, Report], object]


def check_remote(route: Route, ladder: list[str], loc: Loc, report: Report, check_url: CheckUrl) -> None:
    """An outside classifier stands behind those that answer at once, can be found, and speaks of tiers that there are."""
    remote, place = route.remote, (*loc, "remote")
    if remote.url is not None:
        check_url(remote.url, (*place, "url"), report)
    for header in remote.headers:
        if header.lower() in _OURS:
            report.problem((*place, "headers", header), "is written by the router itself", "leave it out")
    for tier in remote.names:
        if tier not in ladder:
            report.problem((*place, "names", tier), f"tier {tier!r} is not on this route's ladder", near(tier, ladder))
    for i, tier in enumerate(remote.classes):
        if tier not in ladder:
            report.problem((*place, "classes", i), f"tier {tier!r} is not on this route's ladder", near(tier, ladder))
    if len(set(remote.classes)) < len(remote.classes):
        report.problem((*place, "classes"), "names a tier twice", "one class for each tier")
    if "remote" not in route.pipeline:
        if remote.model_fields_set:
            report.warning(place, "is read by nobody: `remote` is not in this route's pipeline", "write pipeline: [rules, heuristic, remote]")
        return
    if remote.url is None:
        report.problem(place, "has no `url`, and `remote` is in the pipeline", "say where your classifier listens, or leave `remote` out")
    behind = [stage for stage in route.pipeline[route.pipeline.index("remote") + 1:] if stage != "judge"]
    if behind:
        report.problem((*loc, "pipeline"), f"has {behind[0][:40]!r} behind `remote`, which is asked about what the others leave open",
                       "write `remote` behind them; only `judge` may follow")
    if len(ladder) < 2:
        report.warning((*loc, "pipeline"), "asks a classifier that has nothing to choose: the ladder has one tier", "leave `remote` out")


def check_remote_embedder(classifier: Classifier, report: Report, check_url: CheckUrl) -> None:
    """`sentence: remote` says who; `remote` says where."""
    remote, place = classifier.remote, ("classifier", "remote")
    if remote.url is not None:
        check_url(remote.url, (*place, "url"), report)
    if classifier.sentence != "remote":
        if remote.model_fields_set:
            report.warning(place, "is read by nobody: `classifier.sentence` is not `remote`", "write sentence: remote")
        return
    for key in ("url", "model"):
        if getattr(remote, key) is None:
            report.problem(place, f"has no `{key}`, and `classifier.sentence` is `remote`", "say where the embedder is and what it is called")
