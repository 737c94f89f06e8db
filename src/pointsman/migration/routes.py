"""LiteLLM's fallbacks, aliases and tags as routes: a name that clients use, and where it leads in which order."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pointsman.config.problems import Loc
from pointsman.migration.draft import Draft, is_name
from pointsman.migration.findings import Findings
from pointsman.migration.groups import Group


class Chains(msgspec.Struct):
    """Who stands in for whom, with the place that says so."""

    general: dict[str, tuple[Loc, list[str]]] = {}
    too_long: dict[str, tuple[Loc, list[str]]] = {}
    """`context_window_fallbacks`."""
    default: tuple[Loc, list[str]] | None = None
    """For every group without its own."""

    def routed(self, groups: dict[str, Group], by_tags: bool) -> frozenset[str]:
        """Groups that need a route of their own."""
        wanted = {*self.general, *self.too_long}
        if self.default is not None:
            wanted |= {name for name in groups if name not in self.default[1]}
        if by_tags:
            wanted |= {name for name, group in groups.items() if any(part.tags for part in group.parts)}
        return frozenset(name for name in wanted if name in groups and is_name(name) and not groups[name].is_embedding)


def chains_in(said: object, loc: Loc, findings: Findings) -> dict[str, tuple[Loc, list[str]]]:
    """`[{a: [b, c]}, ...]` (or one mapping) as group -> (place, names)."""
    entries = list(enumerate(said)) if isinstance(said, list) else [(None, said)]
    found: dict[str, tuple[Loc, list[str]]] = {}
    for i, entry in entries:
        place = loc if i is None else (*loc, i)
        if not isinstance(entry, dict):
            findings.dropped(place, "is no mapping of a model to its fallbacks")
            continue
        for name, others in entry.items():
            names = [others] if isinstance(others, str) else others
            if not isinstance(names, list) or not all(isinstance(other, str) for other in names):
                findings.dropped((*place, name), "fallbacks with their own parameters: a fallback here is a tier")
                continue
            found[name] = ((*place, name), names)
    return found


class Routes:
    """Writes routes into the draft."""

    def __init__(self, draft: Draft, findings: Findings, groups: dict[str, Group], limits: dict[str, str]) -> None:
        """`limits`: time limits that every route gets, `answer_timeout` and the like."""
        self._draft, self._findings, self._groups, self._limits = draft, findings, groups, limits

    def for_groups(self, routed: frozenset[str], chains: Chains) -> None:
        """The routes of groups that have fallbacks or tags; says of the others why they cannot have one."""
        for kind, said in (("fallbacks", chains.general), ("context_window_fallbacks", chains.too_long)):
            for name, (loc, _) in said.items():
                if name not in routed:
                    self._findings.dropped(loc, self._why_not(name, kind))
        for name in (name for name in self._groups if name in routed):
            self._for_group(self._groups[name], chains)
        if chains.default is not None:
            self._findings.carried(chains.default[0], "as fallbacks of every route that has none of its own")

    def _why_not(self, name: str, kind: str) -> str:
        if name not in self._groups:
            return f"{kind} of {name!r}, which is not here"
        if self._groups[name].is_embedding:
            return "embeddings have no fallback: vectors of different models do not compare"
        return f"{kind} belong to a route, and {name!r} cannot be a route's name (letters, digits, `.`, `_`, `-`); rename the model, or use `auto`"

    def _for_group(self, group: Group, chains: Chains) -> None:
        tier = group.tier
        longer = self._tiers(chains.too_long.get(group.name), group)
        chain = chains.general.get(group.name) or chains.default
        others = [name for name in self._tiers(chain, group) if name not in longer]
        route: dict[str, Any] = {"ladder": [tier, *longer], "default_tier": tier, "pipeline": [f"pinned:{tier}"]}
        if others:
            route["fallbacks"] = others
        rules = self._tag_rules(group)
        if rules:
            route |= {"pipeline": ["rules", f"pinned:{tier}"], "rules": rules}
        self._draft.routes[group.name] = route | self._limits
        self._draft.comments["routes", group.name] = f"`{tier}` asks for this model without its fallbacks."
        if (said := chains.general.get(group.name)) is not None and others:
            self._findings.carried(said[0], f"fallbacks of route {group.name!r}: {', '.join(others)}; the model alone is {tier!r}")
        if (said := chains.too_long.get(group.name)) is not None and longer:
            self._findings.changed(said[0], f"rungs above on route {group.name!r}: {', '.join(longer)}. A prompt that is too long goes there "
                                            "at once where `capabilities.context` is known, and they also stand in for failures")

    def _tiers(self, said: tuple[Loc, list[str]] | None, group: Group) -> list[str]:
        """Tiers of the names that exist, each once, without the group's own."""
        tiers = []
        for name in said[1] if said is not None else ():
            other = self._groups.get(name)
            if said is None or other is group:
                continue
            if other is None or other.is_embedding:
                self._findings.dropped(said[0], f"falls back on {name!r}, which is not here")
            elif other.tier not in tiers:
                tiers.append(other.tier)
        return tiers

    def _tag_rules(self, group: Group) -> list[dict[str, Any]]:
        """One rule for each tag of a part, in the order of the file."""
        rules = []
        for pool, part in zip(group.pools, group.parts, strict=True):
            for tag in part.tags:
                loc = (*part.deployments[0].loc, "litellm_params", "tags")
                if tag == "default":
                    self._findings.carried(loc, f"untagged requests go to pool {group.pools[0]!r} first")
                    continue
                pattern = rf"(?:.*,)?\s*{re.escape(tag)}\s*(?:,.*)?"
                rules.append({
                    "name": f"tag-{tag}"[:64],
                    "when": {"any": [{"header": {"x-litellm-tags": pattern}}, {"metadata": {"tags": pattern}}]},
                    "pool": pool, "reason": f"the request is tagged {tag}"[:256],
                })
                self._findings.changed(loc, f"tag {tag!r} is a rule of route {group.name!r} on the header x-litellm-tags and on a text "
                                            "`tags` in the body's metadata; the other pools of its tier stay in reserve")
        return rules

    # -- names that only point elsewhere ---------------------------------------------------------------------

    def aliases(self, said: object, loc: Loc) -> None:
        """`model_group_alias`: each alias is a route to the tier of its group."""
        for alias, target in said.items() if isinstance(said, dict) else ():
            name = target.get("model") if isinstance(target, dict) else target
            place = (*loc, alias)
            if isinstance(target, dict) and target.get("hidden"):
                self._findings.changed((*place, "hidden"), "every route is listed in /v1/models")
            group = self._groups.get(str(name))
            if group is None or group.is_embedding:
                self._findings.dropped(place, f"leads to {str(name)!r}, which is no chat model here")
            elif not is_name(alias):
                self._findings.dropped(place, "cannot be a route's name (letters, digits, `.`, `_`, `-`, at most 64)")
            elif alias in self._groups or alias in self._draft.routes or alias in self._draft.tiers:
                self._findings.dropped(place, "is already the name of a model")
            else:
                self._draft.routes[alias] = self._draft.routes.get(group.name) or self.straight(group.tier)
                self._findings.carried(place, f"a route of that name to {group.tier!r}")

    def straight(self, tier: str) -> dict[str, Any]:
        """A route that is one tier."""
        return {"ladder": [tier], "pipeline": [f"pinned:{tier}"], **self._limits}

    def ladder_of_all(self) -> None:
        """The route that nobody asks for yet: all chat tiers, so that `model: auto` works at once."""
        chat = [group for group in self._groups.values() if not group.is_embedding]
        ladder = [group.tier for group in chat]
        if all(group.usd is not None for group in chat):
            ladder = [group.tier for group in sorted(chat, key=lambda group: group.usd or 0.0)]
            why = "Ordered by price, cheapest first: check that this is also weakest first."
        elif all(group.weight is not None for group in chat):
            ladder = [group.tier for group in sorted(chat, key=lambda group: group.weight or 0.0)]
            why = "Ordered by size as the names tell it, or by price where they do not: check that this is weakest first."
        else:
            why = "In the order of model_list, since not every price is known: put the weakest and cheapest first."
        name = self._draft.free_name("auto")
        self._draft.routes[name] = {"ladder": ladder, "pipeline": ["rules", "heuristic"], **self._limits}
        self._draft.comments["routes", name] = f"New: `model: {name}` lets the router choose. {why}"
