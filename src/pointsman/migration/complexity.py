"""LiteLLM's auto routers as routes: the tiers of a complexity router are a ladder, its keywords rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pointsman.config.problems import Loc
from pointsman.migration.draft import Draft, is_name
from pointsman.migration.findings import Findings
from pointsman.migration.groups import Group
from pointsman.migration.routes import Routes

PREFIX: Final = "auto_router/"
ORDER: Final = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
_NOT_OURS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("tier_boundaries", "token_thresholds", "dimension_weights", "tier_thresholds"),
                    "the heuristic here has its own, measured table; `quality` of the route is the one knob: higher goes up sooner"),
    **dict.fromkeys(("code_keywords", "reasoning_keywords", "technical_keywords", "simple_keywords", "custom_technical_keywords"),
                    "the heuristic here has its own words; what must go to a tier for certain is a rule with `keywords`"),
    **dict.fromkeys(("classifier_type", "classifier_llm_config", "classifier_fallback", "classifier_context_window_size", "jev_classifier_config",
                     "opensource_classifier_config", "classifier_context_budget_chars", "classifier_context_include_assistant_turns"),
                    "the stages `rules` and `heuristic` classify here, in under a millisecond and without another model's help"),
    **dict.fromkeys(("semantic_keyword_matching", "embedding_model", "match_threshold"), "keywords are matched as whole words, not by meaning"),
    **dict.fromkeys(("session_affinity", "session_affinity_ttl_seconds", "escalation_keywords", "session_escalation"),
                    "every request is decided on its own yet"),
    **dict.fromkeys(("adaptive", "adaptive_config"), "tiers do not learn from later turns"),
}
_PARAMS: Final = frozenset({"model", "complexity_router_config", "complexity_router_default_model", "auto_router_default_model"})


def is_auto_router(entry: dict[str, Any]) -> bool:
    """An entry of `model_list` that chooses instead of serving."""
    params = entry.get("litellm_params")
    return isinstance(params, dict) and str(params.get("model", "")).startswith(PREFIX)


class AutoRouters:
    """Makes routes of them."""

    def __init__(self, draft: Draft, findings: Findings, groups: dict[str, Group], routes: Routes, limits: dict[str, str]) -> None:
        self._draft, self._findings, self._groups, self._routes, self._limits = draft, findings, groups, routes, limits

    def read(self, entry: dict[str, Any], name: str, loc: Loc) -> None:
        """One of them, as the route that clients already name."""
        params, at = entry["litellm_params"], (*loc, "litellm_params")
        if not is_name(name) or name in self._draft.routes or name in self._draft.tiers:
            self._findings.dropped((*loc, "model_name"), f"{name!r} cannot be a route's name, or has another meaning already")
            return
        if isinstance(params.get("complexity_router_config"), dict):
            self._ladder(params, name, at)
        else:
            self._single(params, name, at)
        info = entry.get("model_info")
        for key in info if isinstance(info, dict) else ():
            self._findings.dropped((*loc, "model_info", key), "a route has no such thing; its tiers say what they can")
        for key in params:
            if key not in _PARAMS:
                self._findings.dropped((*at, key), _by_examples(key))

    # -- complexity -----------------------------------------------------------------------------------------

    def _ladder(self, params: dict[str, Any], name: str, at: Loc) -> None:
        config, place = params["complexity_router_config"], (*at, "complexity_router_config")
        tiers = config.get("tiers") if isinstance(config.get("tiers"), dict) else {}
        rung: dict[str, str] = {}
        known = [level for level in ORDER if level in tiers]
        for level in (*known, *(level for level in tiers if level not in ORDER)):
            tier = self._tier(tiers[level], name, level, (*place, "tiers", level))
            if tier is not None:
                rung[level.upper()] = tier
        ladder = list(dict.fromkeys(rung.values()))
        if not ladder:
            self._findings.dropped((*place, "tiers"), "none of its models is here")
            return
        route: dict[str, Any] = {"ladder": ladder}
        if (default := self._default(params, ladder, at)) is not None:
            route["default_tier"] = default
        rules = self._keyword_rules(config, rung, place)
        route |= {"pipeline": ["rules", "heuristic"], **self._limits} | ({"rules": rules} if rules else {})
        self._draft.routes[name] = route
        self._draft.comments["routes", name] = ", ".join(f"{level}: {tier}" for level, tier in rung.items()) + (
            ". `quality` decides how readily it goes up.")
        self._findings.changed((*at, "model"), f"route {name!r}: a ladder {' -> '.join(ladder)}; the rung is chosen by the probability that "
                                               "its answer is good enough, not by a score between boundaries")
        for key in config:
            if key not in ("tiers", "keyword_tier_rules"):
                if key in _NOT_OURS:
                    self._findings.dropped((*place, key), _NOT_OURS[key])
                else:
                    self._findings.unknown((*place, key))

    def _tier(self, said: object, name: str, level: str, at: Loc) -> str | None:
        """The tier of one level: the group's own, or a new one over the groups of a list."""
        names = [_model_in(item) for item in (said if isinstance(said, list) else [said])]
        groups = [self._groups[model] for model in names if model in self._groups and not self._groups[model].is_embedding]
        for model in names:
            if model not in self._groups:
                self._findings.dropped(at, f"{model!r} is not here")
        if isinstance(said, dict) or (isinstance(said, list) and any(isinstance(item, dict) for item in said)):
            self._findings.dropped(at, "parameters that belong to a level: what the client sends is passed on untouched")
        if not groups:
            return None
        if len(groups) == 1:
            self._findings.carried(at, f"rung {groups[0].tier!r}")
            return groups[0].tier
        tier = self._draft.free_name(f"{name[:40]}-{level.lower()}")
        self._draft.tiers[tier] = {"pools": [pool for group in groups for pool in group.pools]}
        self._findings.changed(at, f"tier {tier!r} over the pools {', '.join(self._draft.tiers[tier]['pools'])}: the first that can serve "
                                   "does, instead of one at random")
        return tier

    def _default(self, params: dict[str, Any], ladder: list[str], at: Loc) -> str | None:
        wanted = params.get("complexity_router_default_model")
        if wanted is None:
            return None
        place = (*at, "complexity_router_default_model")
        group = self._groups.get(str(wanted))
        if group is None or group.tier not in ladder:
            self._findings.dropped(place, "is not one of its tiers; the last one serves when no stage has an opinion")
            return None
        self._findings.carried(place, f"default_tier: {group.tier}")
        return group.tier

    def _keyword_rules(self, config: dict[str, Any], rung: dict[str, str], at: Loc) -> list[dict[str, Any]]:
        """Highest level first, since theirs go to the highest that matches and ours to the first."""
        said = config.get("keyword_tier_rules")
        found: list[tuple[int, dict[str, Any]]] = []
        for i, entry in enumerate(said if isinstance(said, list) else ()):
            place = (*at, "keyword_tier_rules", i)
            words = entry.get("keywords") if isinstance(entry, dict) else None
            level = str(entry.get("tier", "")).upper() if isinstance(entry, dict) else ""
            words = [word for word in words or () if isinstance(word, str) and 0 < len(word) <= 256]
            if not words or level not in rung:
                self._findings.dropped(place, "names no keywords, or a level that is not here")
                continue
            rank = ORDER.index(level) if level in ORDER else len(ORDER)
            found.append((-rank, {"when": {"keywords": words}, "tier": rung[level], "reason": f"a keyword for {level.lower()}"}))
            self._findings.carried(place, f"a rule: {len(words)} keyword(s) go to {rung[level]!r}")
        return [rule for _, rule in sorted(found, key=lambda pair: pair[0])]

    # -- the older, semantic one --------------------------------------------------------------------------------

    def _single(self, params: dict[str, Any], name: str, at: Loc) -> None:
        """Routing by example sentences cannot be carried; its name still leads to its default model."""
        kind = str(params["model"]).removeprefix(PREFIX)
        wanted = params.get("auto_router_default_model") or params.get("complexity_router_default_model")
        group = self._groups.get(str(wanted))
        if group is None or group.is_embedding:
            self._findings.dropped((*at, "model"), f"a router of kind {kind!r} without a default model that is here")
            return
        self._draft.routes[name] = self._routes.straight(group.tier)
        self._draft.comments["routes", name] = "Its examples were not carried: add rules, or a ladder."
        self._findings.changed((*at, "model"), f"route {name!r} leads to its default model {group.tier!r} only: routing by example sentences "
                                               "is not here; write `rules` with keywords, or give it a ladder")


def _by_examples(key: str) -> str:
    if key.startswith("auto_router_"):
        return "routing by example sentences is not here; write `rules` with keywords"
    return "routes pass on what the client sends"


def _model_in(item: object) -> str:
    if isinstance(item, dict):
        return str(item.get("model") or item.get("model_name") or "")
    return str(item)
