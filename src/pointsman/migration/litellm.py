"""`pointsman import litellm`: a proxy's `config.yaml` as ours, and a report that has every key of theirs in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.config.document import Document
from pointsman.config.problems import Loc, Problem, render
from pointsman.config.sources import PROVIDERS
from pointsman.config.units import format_duration
from pointsman.errors import ConfigError
from pointsman.migration import litellm_settings as told
from pointsman.migration.complexity import AutoRouters, is_auto_router
from pointsman.migration.credentials import Credentials, references_in
from pointsman.migration.deployments import Deployments
from pointsman.migration.draft import Draft
from pointsman.migration.findings import Findings, Migrated
from pointsman.migration.groups import Group, Placing, drop_ambiguous_providers, grouped
from pointsman.migration.routes import Chains, Routes, chains_in

_READ_SECTIONS = ("model_list", "router_settings", "litellm_settings", "general_settings", "environment_variables")
_HEAD = """Written by `pointsman import litellm` from {source}.
Every setting, its default and the reason for it: `pointsman config schema`, or the configuration reference."""


def import_litellm(text: str, source: str, environ: Mapping[str, str]) -> Migrated:
    """The migrated configuration. Raises ConfigError when theirs cannot be read as a mapping with a `model_list`.

    `environ` is asked for addresses that theirs has by reference; keys stay references and are never looked up.
    """
    document = Document(text)
    problems = list(document.problems)
    if not problems and not (isinstance(document.data, dict) and isinstance(document.data.get("model_list"), list)):
        problems.append(Problem((), "has no `model_list`", "this imports the config.yaml of LiteLLM's proxy"))
    if problems:
        raise ConfigError(render(problems, source, document.lines))
    return _Import(document, source, environ).migrated()


def _implied(entries: list[Any]) -> frozenset[str]:
    """Variables that LiteLLM may read without being told, if any entry leaves its key out."""
    params = [entry.get("litellm_params") for entry in entries if isinstance(entry, dict)]
    if all(not isinstance(said, dict) or said.get("api_key") is not None for said in params):
        return frozenset()
    return frozenset(variable for provider in PROVIDERS for variable in provider.variables)


class _Import:
    """One file on its way."""

    def __init__(self, document: Document, source: str, environ: Mapping[str, str]) -> None:
        self._data: dict[str, Any] = document.data
        self._source = source
        self._draft, self._findings = Draft(), Findings(document.lines)
        self._credentials = Credentials(self._draft, self._findings, references_in(document.data) | _implied(document.data["model_list"]))
        self._deployments = Deployments(self._findings, self._credentials, environ)
        self._router, self._litellm, self._general = (
            self._section(name) for name in ("router_settings", "litellm_settings", "general_settings"))

    def _section(self, name: str) -> dict[str, Any]:
        said = self._data.get(name)
        if said is not None and not isinstance(said, dict):
            self._findings.dropped((name,), "is not a mapping")
        return said if isinstance(said, dict) else {}

    def migrated(self) -> Migrated:
        by_tags = bool(self._setting("enable_tag_filtering")[1])
        entries = self._entries()
        served = [deployment for entry, name, loc in entries if not is_auto_router(entry)
                  if (deployment := self._deployments.read(entry, name, loc)) is not None]
        groups = grouped(served, self._findings, by_tags=by_tags)
        chains = self._chains()
        routed = chains.routed(groups, by_tags)
        aliases = self._router.get("model_group_alias")
        autos = [(entry, name, loc) for entry, name, loc in entries if is_auto_router(entry)]
        self._draft.reserved |= {*routed, *(name for _, name, _ in autos), *(aliases if isinstance(aliases, dict) else ())}
        limits = self._limits()
        Placing(self._draft, self._findings, self._health(), routed).place(groups)
        self._slots()
        routes = Routes(self._draft, self._findings, groups, limits)
        routes.for_groups(routed, chains)
        self._draft.reserved -= {name for _, name, _ in autos}
        choosing = AutoRouters(self._draft, self._findings, groups, routes, limits)
        for entry, name, loc in autos:
            choosing.read(entry, name, loc)
        routes.aliases(aliases, ("router_settings", "model_group_alias"))
        self._automatic(autos, groups, routes)
        drop_ambiguous_providers(self._draft, self._findings)
        self._rest()
        text = self._draft.text(_HEAD.format(source=self._source)) if self._draft.tiers else ""
        found = sorted(self._findings.found, key=lambda finding: finding.line or 0)
        return Migrated(text, tuple(found), self._draft.variables, self._source)

    def _entries(self) -> list[tuple[dict[str, Any], str, Loc]]:
        """Entries of `model_list` with a name."""
        found = []
        for i, entry in enumerate(self._data["model_list"]):
            loc: Loc = ("model_list", i)
            name = entry.get("model_name") if isinstance(entry, dict) else None
            if not isinstance(name, str) or not name:
                self._findings.dropped(loc, "has no `model_name`")
                continue
            found.append((entry, name, loc))
            for key in entry:
                if key not in ("model_name", "litellm_params", "model_info"):
                    self._findings.unknown((*loc, key))
        return found

    def _automatic(self, autos: list[Any], groups: dict[str, Group], routes: Routes) -> None:
        """A route that chooses, where theirs has none. Without any route there would be one called `auto`, whatever else is."""
        tiers = {group.tier for group in groups.values() if not group.is_embedding}
        if tiers and (not self._draft.routes or (len(tiers) > 1 and not autos)):
            routes.ladder_of_all()

    # -- settings ----------------------------------------------------------------------------------------------

    def _setting(self, name: str) -> tuple[Loc, Any]:
        """A setting that may stand in either section, `router_settings` first."""
        for section, said in (("router_settings", self._router), ("litellm_settings", self._litellm)):
            if said.get(name) is not None:
                return (section, name), said[name]
        return (), None

    def _chains(self) -> Chains:
        chains = Chains({}, {})
        for section, said in (("litellm_settings", self._litellm), ("router_settings", self._router)):
            for key, found in (("fallbacks", chains.general), ("context_window_fallbacks", chains.too_long)):
                if said.get(key) is not None:
                    found.update(chains_in(said[key], (section, key), self._findings))
        loc, names = self._setting("default_fallbacks")
        if isinstance(names, list) and names:
            chains.default = (loc, [str(name) for name in names])
        return chains

    def _limits(self) -> dict[str, str]:
        """Time limits for every route."""
        limits = {}
        loc, timeout = self._setting("timeout")
        if timeout is None and self._litellm.get("request_timeout") is not None:
            loc, timeout = ("litellm_settings", "request_timeout"), self._litellm["request_timeout"]
        if (seconds := self._seconds(loc, timeout)) is not None:
            limits["answer_timeout"] = format_duration(seconds)
            if seconds > 600:
                limits["deadline"] = format_duration(seconds)
            self._findings.changed(loc, f"answer_timeout: {limits['answer_timeout']} of every route: one plain attempt, to its last byte; streamed "
                                        "answers have `ttft_timeout` and `stall_timeout`")
        loc, timeout = self._setting("stream_timeout")
        if (seconds := self._seconds(loc, timeout)) is not None:
            limits["ttft_timeout"] = format_duration(seconds)
            self._findings.changed(loc, f"ttft_timeout: {limits['ttft_timeout']} of every route: a stream, to its first content")
        return limits

    def _health(self) -> dict[str, Any]:
        health: dict[str, Any] = {}
        loc, fails = self._setting("allowed_fails")
        if isinstance(fails, int) and not isinstance(fails, bool) and 0 <= fails < 1000:
            health["eject_after"] = fails + 1
            self._findings.changed(loc, f"health.eject_after: {fails + 1}: failures in a row, where LiteLLM counts those of a minute")
        elif fails is not None:
            self._findings.dropped(loc, "is not a number of failures")
        loc, rest = self._setting("cooldown_time")
        if (seconds := self._seconds(loc, rest)) is not None:
            health["eject_for"] = format_duration(seconds)
            if seconds > 120:
                health["eject_max"] = format_duration(seconds)
            self._findings.changed(loc, f"health.eject_for: {health['eject_for']}, doubled with each further ejection")
        return health

    def _seconds(self, loc: Loc, value: object) -> float | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 86_400:
            self._findings.dropped(loc, "is no number of seconds up to a day")
            return None
        return float(value)

    def _slots(self) -> None:
        slots = self._router.get("default_max_parallel_requests")
        if slots is None:
            return
        if isinstance(slots, bool) or not isinstance(slots, int) or not 1 <= slots <= 1_000_000:
            self._findings.dropped(("router_settings", "default_max_parallel_requests"), "is not a number of requests")
            return
        for pool in (*self._draft.tiers.values(), *self._draft.pools.values()):
            for endpoint in pool.get("endpoints", ()):
                endpoint.setdefault("slots", slots)
        self._findings.carried(("router_settings", "default_max_parallel_requests"), f"slots: {slots} of every endpoint that has none of its own")

    # -- everything else has a sentence ---------------------------------------------------------------------------

    def _rest(self) -> None:
        self._keys()
        self._told()
        for section, said, read, sentences in (
            ("router_settings", self._router, told.READ_ROUTER, told.ROUTER),
            ("litellm_settings", self._litellm, told.READ_LITELLM, told.LITELLM),
            ("general_settings", self._general, told.READ_GENERAL, told.GENERAL),
        ):
            for key in said:
                if key in sentences:
                    self._findings.dropped((section, key), sentences[key])
                elif key not in read:
                    self._findings.unknown((section, key))
        for name in self._section("environment_variables"):
            self._findings.dropped(("environment_variables", name), f"set {name} where the router starts; the value is not copied")
        for name in self._data:
            if name in told.SECTIONS:
                self._findings.dropped((name,), told.SECTIONS[name])
            elif name not in _READ_SECTIONS:
                self._findings.unknown((name,))

    def _keys(self) -> None:
        at: Loc = ("general_settings", "master_key")
        if (key := self._general.get("master_key")) is not None:
            reference = self._credentials.reference(key, at, "LITELLM_MASTER_KEY", "the key that clients send")
            if reference is not None:
                self._draft.keys.append({"name": "master", "key": reference})
                self._draft.comments["auth", "keys"] = ("One key for everybody, as before. Give each application its own: "
                                                        "`tenant`, `routes` and `pools` then say who pays and what it may use.")
                self._findings.changed(at, "a client key named `master`; it opens no admin functions, which have a listener and a token of their own")
        size = self._general.get("max_request_size_mb")
        if isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= 1024:
            self._draft.server["max_body"] = f"{size}MiB"
            self._findings.carried(("general_settings", "max_request_size_mb"), f"server.max_body: {size}MiB")
        elif size is not None:
            self._findings.dropped(("general_settings", "max_request_size_mb"), "is no whole number of megabytes up to 1024")

    def _told(self) -> None:
        """Settings that hold for every route here, or that are always so."""
        if (strategy := self._router.get("routing_strategy")) is not None:
            self._findings.changed(("router_settings", "routing_strategy"), told.STRATEGIES.get(str(strategy), told.ONE_STRATEGY))
        for section, said in (("router_settings", self._router), ("litellm_settings", self._litellm)):
            if said.get("num_retries") is not None:
                self._findings.changed((section, "num_retries"), told.RETRIES)
            if said.get("enable_tag_filtering") is not None:
                self._findings.carried((section, "enable_tag_filtering"), "tags are rules" if said["enable_tag_filtering"] else "off, and so here")
        if self._router.get("enable_pre_call_checks") is not None:
            self._findings.carried(("router_settings", "enable_pre_call_checks"), "always so: what a model cannot take is never sent to it")
        for section in ("router_settings", "litellm_settings"):
            said = self._router if section == "router_settings" else self._litellm
            if said.get("default_fallbacks") == []:
                self._findings.carried((section, "default_fallbacks"), "none")
