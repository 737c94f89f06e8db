"""LiteLLM's model groups as pools and tiers: entries of one `model_name` are endpoints of one pool, where they can be.

Where they cannot (two keys at one address, an `order`, tags), the group is a tier with several pools in order: the first
that can serve does, the others are its reserve.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from pointsman.migration.deployments import Deployment
from pointsman.migration.draft import Draft, is_name, name_like
from pointsman.migration.findings import Findings

_MODEL = re.compile(r"[!-~](?:[ -~]{0,254}[!-~])?")
_LAST = 1_000_000
"""The place of entries without an `order`: after those that have one."""


class Part(msgspec.Struct):
    """Entries of a group that can share a pool."""

    deployments: list[Deployment]
    order: int = _LAST
    tags: tuple[str, ...] = ()

    @property
    def is_default(self) -> bool:
        return not self.tags or "default" in self.tags


class Group(msgspec.Struct):
    """One `model_name` of theirs and where it stands here."""

    name: str
    parts: list[Part]
    tier: str = ""
    """The tier that serves it; for embeddings the pool."""
    pools: list[str] = []
    """Of its parts, one each."""

    @property
    def is_embedding(self) -> bool:
        return self.parts[0].deployments[0].is_embedding

    @property
    def usd(self) -> float | None:
        """Of its cheapest entry; None when one of them is unpriced."""
        prices = [deployment.usd for part in self.parts for deployment in part.deployments]
        known = [price for price in prices if price is not None]
        return min(known) if known and len(known) == len(prices) else None

    @property
    def weight(self) -> float | None:
        """How large its first entry's model is, or what stands for that; None when nothing tells."""
        return self.parts[0].deployments[0].weight


def grouped(deployments: Iterable[Deployment], findings: Findings, *, by_tags: bool) -> dict[str, Group]:
    """Groups by name in the order of the file. `by_tags`: entries with different tags never share a pool."""
    groups: dict[str, Group] = {}
    for deployment in deployments:
        group = groups.setdefault(deployment.group, Group(deployment.group, []))
        if group.parts and group.is_embedding != deployment.is_embedding:
            findings.dropped(deployment.loc, "chats, while the others of its name embed (or the other way round); they cannot share a name")
            continue
        if deployment.tags and not by_tags:
            findings.dropped((*deployment.loc, "litellm_params", "tags"), "enable_tag_filtering is off, so LiteLLM does not route by them either")
        _join(group, deployment, findings, by_tags=by_tags)
    for group in groups.values():
        group.parts.sort(key=lambda part: (part.order, not part.is_default))
    return {name: group for name, group in groups.items() if group.parts}


def _join(group: Group, deployment: Deployment, findings: Findings, *, by_tags: bool) -> None:
    """Into the first part that it fits."""
    order = _LAST if deployment.order is None else deployment.order
    tags = deployment.tags if by_tags else ()
    for part in group.parts:
        if deployment.endpoint in (other.endpoint for other in part.deployments) and part.tags == tags:
            findings.dropped(deployment.loc, "the same address, model and key as another entry of its name: one endpoint is enough")
            return
        if part.order == order and part.tags == tags and all(_differ(deployment, other) for other in part.deployments):
            part.deployments.append(deployment)
            return
    if group.parts and not (by_tags and tags != group.parts[-1].tags) and order == group.parts[-1].order:
        findings.changed(deployment.loc, "a second key or model at the address of another entry of its name: a pool of its own, in "
                                         "reserve behind the first instead of sharing its load")
    group.parts.append(Part([deployment], order, tags))


def _differ(a: Deployment, b: Deployment) -> bool:
    return bool(a.endpoint["url"].lower() != b.endpoint["url"].lower())


# ---------------------------------------------------------------------------------------------------------
# Into the draft


class Placing:
    """Gives every group its place and names."""

    def __init__(self, draft: Draft, findings: Findings, health: dict[str, Any], routed: frozenset[str]) -> None:
        """`routed` groups give their name to a route of their own."""
        self._draft, self._findings, self._health, self._routed = draft, findings, health, routed

    def place(self, groups: dict[str, Group]) -> None:
        """Chat groups become tiers, embedding groups pools."""
        for group in groups.values():  # names that can stay as they are go first: others make way
            if is_name(group.name) and group.name not in self._routed:
                self._draft.reserved.add(group.name)
        for group in groups.values():
            if group.is_embedding:
                self._embedder(group)
            else:
                self._tier(group)

    def _name(self, group: Group) -> str:
        """The tier's name, which is also the model's when it can be."""
        if group.name in self._routed:
            return self._draft.free_name(f"{group.name[:58]}-only")
        if is_name(group.name):
            self._draft.reserved.discard(group.name)
            return self._draft.free_name(group.name)
        return self._draft.free_name(name_like(group.name))

    def _tier(self, group: Group) -> None:
        group.tier = name = self._name(group)
        label = name if group.name in self._routed or not _MODEL.fullmatch(group.name) else group.name
        if label == name != group.name and group.name not in self._routed:
            self._findings.changed((*group.parts[0].deployments[0].loc[:2], "model_name"),
                                   f"the name is not printable ASCII; clients ask for {name!r}")
        if len(group.parts) == 1:
            self._draft.tiers[name] = self._pool(group.parts[0], label)
            group.pools = [name]
        else:
            self._draft.tiers[name] = {"pools": group.pools}
            for i, part in enumerate(group.parts):
                word = "-".join(tag for tag in part.tags if tag != "default") or ("" if part.is_default and part.tags else str(i + 1))
                pool = self._draft.free_name(f"{name[:40]}-{word or 'default'}")
                is_asked = i == 0 and label != name
                self._draft.pools[pool] = self._pool(part, label if is_asked else pool)
                group.pools.append(pool)
            self._tell_order(group)
        self._comment(group)

    def _tell_order(self, group: Group) -> None:
        for part in group.parts:
            for deployment in part.deployments:
                if deployment.order is not None:
                    self._findings.carried((*deployment.loc, "litellm_params", "order"), f"by the order of the pools of tier {group.tier!r}")

    def _embedder(self, group: Group) -> None:
        group.tier = name = self._name(group)
        first, *rest = group.parts
        for part in rest:
            for deployment in part.deployments:
                self._findings.dropped(deployment.loc, "an embedding model is one pool, and two entries of a pool cannot share an address")
        pool = self._pool(first, group.name if _MODEL.fullmatch(group.name) else name)
        pool["capabilities"] = {**pool.get("capabilities", {}), "embeddings": True}
        self._draft.pools[name] = {key: pool[key] for key in ("model", "capabilities", "health", "endpoints") if key in pool}
        group.pools = [name]
        self._comment(group)

    def _pool(self, part: Part, model: str) -> dict[str, Any]:
        pool: dict[str, Any] = {"model": model}
        capabilities = _capabilities(part.deployments)
        if capabilities:
            pool["capabilities"] = capabilities
        if self._health:
            pool["health"] = dict(self._health)
        pool["endpoints"] = [{key: value for key, value in deployment.endpoint.items() if key != "model" or value != model}
                             for deployment in part.deployments]
        return pool

    def _comment(self, group: Group) -> None:
        for name, part in zip(group.pools, group.parts, strict=False):
            section = "pools" if name in self._draft.pools else "tiers"
            for i, deployment in enumerate(part.deployments):
                if deployment.price_note:
                    self._draft.comments[section, name, "endpoints", i] = f"Price: {deployment.price_note}. Check it."


def _capabilities(deployments: list[Deployment]) -> dict[str, Any]:
    """What every entry of a pool can do: the smallest context, and a flag that none denies and all give."""
    said: dict[str, Any] = {}
    contexts = [deployment.context for deployment in deployments]
    if known := [context for context in contexts if context is not None]:
        said["context"] = min(known)
    for flag in ("tools", "json_schema", "vision"):
        values = [deployment.flags.get(flag) for deployment in deployments]
        if False in values:
            said[flag] = False
        elif None not in values:
            said[flag] = True
    return said


def drop_ambiguous_providers(draft: Draft, findings: Findings) -> None:
    """`<provider>/<model>` is a name of its own; where somebody else already has that name, the provider goes."""
    models = {pool["model"] for pool in (*draft.tiers.values(), *draft.pools.values()) if "model" in pool}
    taken = models | set(draft.tiers) | set(draft.routes)
    for pool in (*draft.tiers.values(), *draft.pools.values()):
        for endpoint in pool.get("endpoints", ()):
            if f"{endpoint.get('provider')}/{pool['model']}" in taken:
                findings.changed((), f"{endpoint.pop('provider')}/{pool['model']} is another entry's name, so the endpoint of {pool['model']!r} "
                                     "does not say whose it is")
