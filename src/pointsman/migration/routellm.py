"""`pointsman import routellm`: the command line of RouteLLM's server as two tiers and a route.

Its threshold cannot come along: it is a bound on a win rate that one of its routers predicts, and another scorer's
numbers mean something else. What takes its place is `quality`, a probability of an acceptable answer.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from pointsman.config.sources import url_fault
from pointsman.migration.credentials import Credentials
from pointsman.migration.deployments import Deployments
from pointsman.migration.draft import Draft, is_name
from pointsman.migration.findings import Findings, Migrated
from pointsman.migration.groups import Placing, drop_ambiguous_providers, grouped

STRONG: Final = "gpt-4-1106-preview"
WEAK: Final = "anyscale/mistralai/Mixtral-8x7B-Instruct-v0.1"
"""What RouteLLM takes when its command line names no models."""
ROUTERS: Final = ("mf", "causal_llm", "bert", "sw_ranking", "random")
_MODEL_NAME = re.compile(r"router-(mf|causal_llm|bert|sw_ranking|random)-([0-9]*\.?[0-9]+)")
_VALUED: Final = frozenset({"--config", "--port", "--workers", "--base-url", "--alt-base-url", "--api-key", "--alt-api-key", "--strong-model",
                            "--weak-model"})
_HEAD = """Written by `pointsman import routellm`.
Every setting, its default and the reason for it: `pointsman config schema`, or the configuration reference."""
_QUALITY = ("The strong model was asked above a threshold on a predicted win rate. Here the weak one answers when its answer is acceptable "
            "with at least this probability: raise it to ask the strong one more often.")
_NO_THRESHOLD = ("a threshold bounds the win rate that this router of theirs predicts, so the number means nothing to another scorer; start with "
                 "quality: 0.8, look at the shares of the tiers in /metrics, and raise it to ask the strong model more often")


def import_routellm(words: Sequence[str]) -> Migrated:
    """From the words of a command line, and names such as `router-mf-0.11593` anywhere among them. Never fails: what
    cannot be read is dropped with a sentence."""
    findings, draft = Findings(), Draft()
    options = _Options(words, findings)
    credentials = Credentials(draft, findings)
    deployments = Deployments(findings, credentials, {})
    found = []
    for tier, flag, usual in (("weak", "--weak-model", WEAK), ("strong", "--strong-model", STRONG)):
        model = options.values.get(flag, usual)
        if flag not in options.values:
            findings.changed((flag,), f"not given: RouteLLM's own default {usual}")
        params: dict[str, Any] = {"model": model}
        if (base := options.base_for(tier)) is not None:
            params |= {"api_base": base, "custom_llm_provider": "openai"}
        if (key := options.key_for(tier)) is not None:
            params["api_key"] = key
        entry = deployments.read({"litellm_params": params}, tier, (tier,))
        if entry is not None:
            found.append(entry)
    groups = grouped(found, findings, by_tags=False)
    Placing(draft, findings, {}, frozenset()).place(groups)
    ladder = [group.tier for group in groups.values() if not group.is_embedding]
    if ladder:
        _write_routes(draft, findings, options, ladder)
        drop_ambiguous_providers(draft, findings)
    found_here = tuple(msgspec.structs.replace(finding, place=_flag_of(finding.place)) for finding in findings.found)
    return Migrated(draft.text(_HEAD) if ladder else "", found_here, draft.variables, "the command line")


def _flag_of(place: str) -> str:
    """Models are read as if they stood in a file; the report names the flag."""
    tier, _, rest = place.partition(".")
    if tier not in ("weak", "strong"):
        return place
    return {"litellm_params.api_key": "--api-key", "litellm_params.api_base": "--base-url"}.get(rest, f"--{tier}-model")


def _write_routes(draft: Draft, findings: Findings, options: _Options, ladder: list[str]) -> None:
    route = {"ladder": ladder, "default_tier": ladder[-1], "quality": 0.8, "pipeline": ["rules", "heuristic"]}
    draft.routes["auto"] = route
    draft.comments["routes", "auto"] = _QUALITY
    for router in options.routers:
        findings.changed(("--routers", router), "the stages `rules` and `heuristic` decide here, in under a millisecond; see `pointsman explain`")
    if not options.names:
        findings.changed(("model",), f"clients ask for `auto` instead of `router-{options.routers[0]}-<threshold>`; name the one they use behind the "
                                     "command line, and it becomes a route as well")
    for name, router, threshold in options.names:
        if not is_name(name) or name in draft.routes:
            continue
        if router == "random" and 0 <= float(threshold) <= 1:
            share = f"random:{1 - float(threshold):.5g}"
            draft.routes[name] = {"ladder": ladder, "default_tier": ladder[-1], "pipeline": ["rules", share]}
            findings.carried((name,), f"a route of that name with the stage `{share}`: the share of the strong model, which is one minus "
                                      "the threshold")
            continue
        draft.routes[name] = dict(route)
        draft.comments["routes", name] = "So that clients need not change; the number in the name has no effect any more."
        findings.changed((name,), f"a route of that name. Its threshold is not carried: {_NO_THRESHOLD}")


class _Options:
    """The words taken apart."""

    def __init__(self, words: Sequence[str], findings: Findings) -> None:
        self.values: dict[str, str] = {}
        self.routers: list[str] = []
        self.names: list[tuple[str, str, str]] = []
        self._findings = findings
        waiting = list(_split(words))
        while waiting:
            self._take(waiting.pop(0), waiting)
        self.routers = self.routers or ["random"]
        self._tell()

    def _take(self, word: str, waiting: list[str]) -> None:
        flag, has_value, value = word.partition("=")
        if flag in _VALUED:
            self.values[flag] = value if has_value else waiting.pop(0) if waiting and not waiting[0].startswith("--") else ""
        elif flag == "--routers":
            self.routers += [value] if has_value else []
            while waiting and waiting[0] in ROUTERS:
                self.routers.append(waiting.pop(0))
        elif flag == "--verbose":
            self._findings.dropped((flag,), "`pointsman serve --log-level debug`")
        elif (found := _MODEL_NAME.fullmatch(word)) is not None:
            self.names.append((word, found[1], found[2]))
        elif word.startswith("-") and word != "-m":
            self._findings.unknown((flag,))

    def _tell(self) -> None:
        self.values = {flag: value for flag, value in self.values.items() if value}
        told = {
            "--config": "holds checkpoints of its routers, which are not read here",
            "--port": f"`pointsman serve --port {self.values.get('--port', '')}`; without it 4000",
            "--workers": "write `server: {workers: N}` if one core is too little; it is not the bottleneck that a scorer of theirs is",
        }
        for flag, sentence in told.items():
            if flag in self.values:
                self._findings.dropped((flag,), sentence)

    def base_for(self, tier: str) -> str | None:
        """`--base-url` is for both models, but that `--alt-base-url` is for the weak one where it is given."""
        base = self.values.get("--alt-base-url" if tier == "weak" and "--alt-base-url" in self.values else "--base-url")
        if base is not None and (fault := url_fault(base)) is not None:
            self._findings.dropped(("--base-url",), f"{fault}; the provider's own address is used")
            return None
        return base

    def key_for(self, tier: str) -> str | None:
        return self.values.get("--alt-api-key" if tier == "weak" and "--alt-api-key" in self.values else "--api-key")


def _split(words: Sequence[str]) -> Iterator[str]:
    """Words as the shell made them; one that is a whole command line in quotes is taken apart. The program's own name goes."""
    for word in words:
        try:
            parts = shlex.split(word) if " " in word else [word]
        except ValueError:
            parts = word.split()
        for part in parts:
            if part != "\\" and not re.fullmatch(r"(?:.*/)?python[0-9.]*|-m|routellm\.openai_server|[A-Z_]+=.*", part):
                yield part
