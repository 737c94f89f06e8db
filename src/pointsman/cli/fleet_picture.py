"""The fleet as `pointsman top` draws it: a line about the router, its tiers, its endpoints, and what is wrong with whom."""

from __future__ import annotations

from collections import Counter
from textwrap import wrap
from typing import Any

from rich.console import Group
from rich.text import Text

from pointsman.cli.sheet import Column, Sheet

STYLES = {"healthy": "green", "probing": "yellow", "draining": "yellow", "ejected": "red"}
UNFIT = {"ttft": "slow", "unavailable": "unavailable"}
"""What a tier is that is not fit, by its reason; by every other it is full."""
DASH = "–"
TENANTS_SHOWN = 3
"""Of those who wait to be read, the ones with most: where all come from one, its name says nothing."""
HOUR_S, DAY_S = 3600, 86_400
FEWEST_ENDPOINTS = 1
"""Shown however low the terminal is."""


def screen(state: dict[str, Any], url: str, width: int = 160, height: int | None = None) -> Group:
    """One look, in `width` columns. `height`: lines that there are; endpoints with nothing to tell are left out first."""
    headline = _headline(state, url)
    top = [headline, Text(), *_tiers(state, width), Text()]
    taken = len(top) + (len(headline.plain) - 1) // max(1, width)
    return Group(*top, *_endpoints(state, width, None if height is None else height - taken))


def _headline(state: dict[str, Any], url: str) -> Text:
    line = Text.assemble(("Pointsman ", "bold"), f"{state['version']}  {url}  {state['in_flight']} in flight  generation {state['generation']}")
    workers = state.get("workers")
    if workers:
        line.append(f"  {len(workers)} workers")
    if state["draining"]:
        line.append("  draining", "yellow")
    records = state.get("records", {})
    if not records.get("ok", True):
        line.append(f"  records: {records.get('last_error') or 'not kept'}", "red")
    return line


def _tiers(state: dict[str, Any], width: int) -> list[Text]:
    sheet = Sheet(Column("tier"), Column("is"), Column("for"), Column("in line", is_number=True), Column("to be read", 4), Column("answers/s", 1, is_number=True),
                  Column("failed", 3, is_number=True), Column("TTFT p95", 0, is_number=True), Column("limit", 2, is_number=True),
                  Column("token p95", 5, is_number=True), Column("machines", 1))
    notes: list[Text] = []
    for name, tier in state.get("tiers", {}).items():
        is_fit, scale = tier["is_fit"], state.get("scale", {}).get(name, {})
        sheet.add(
            name, Text("fit", "green") if is_fit else Text(UNFIT.get(tier["reason"], "full"), "red"), _time(tier["for_s"]),
            str(tier["waiting"]), _to_be_read(state, tier), _number(tier["answers_per_s"]), _number(tier.get("failures")), _time(tier["ttft_p95_s"]),
            _time(tier.get("ttft_p95_max_s")), _time(tier.get("inter_token_p95_s")), _machines(scale))
        share = tier.get("share", 1.0)
        if not is_fit:
            kept = f"; keeps {share:.0%} of its traffic" if share < 1 else ""
            opens = f"; the next is tried in {_time(tier['opens_in_s'])}" if tier.get("opens_in_s") is not None else ""
            notes += _note(name, f"{tier['detail'] or tier['reason']}{kept}{opens}", "red", width)
        if scale.get("desired") not in (None, scale.get("ready")):
            notes += _note(name, f"wants {_machine_count(scale['desired'])}: {scale['reason']}", "", width)
    return [*sheet.lines(width), *notes]


def _machine_count(count: int) -> str:
    return f"{count} machine{'' if count == 1 else 's'}"


def _machines(scale: dict[str, Any]) -> str:
    ready, desired = scale.get("ready"), scale.get("desired")
    return DASH if ready is None else f"{ready}" if desired in (None, ready) else f"{ready} → {desired}"


def _to_be_read(state: dict[str, Any], tier: dict[str, Any]) -> str:
    """Who waits in the anterooms of its pools: how many, how long the first has, and whose they are."""
    rooms = [room for pool in tier["pools"] if (room := state["pools"].get(pool, {}).get("anteroom")) is not None]
    if not rooms:
        return DASH
    waiting, tenants = sum(room["waiting"] for room in rooms), Counter[str]()
    for room in rooms:
        tenants.update(room["tenants"])
    if not waiting:
        return "0"
    shown = [f"{tenant} {count}" for tenant, count in tenants.most_common(TENANTS_SHOWN)] if len(tenants) > 1 else []
    return "  ".join((str(waiting), _time(max(room["oldest_s"] or 0.0 for room in rooms)), *shown))


def _endpoints(state: dict[str, Any], width: int, height: int | None) -> list[Text]:
    """Their lines, and the reasons below where there is no room for them beside."""
    sheet = Sheet(Column("endpoint"), Column("state"), Column("for", 3, is_number=True), Column("until", is_number=True), Column("busy", is_number=True), Column("engine", 3),
                  Column("version", 5), Column("runs", 2, is_number=True), Column("waits", 1, is_number=True), Column("KV", 2, is_number=True),
                  Column("TTFT p95", 1, is_number=True), Column("why", 6), Column("url", 7))
    why_place, reasons, ids, troubled, busy = 11, [], [], [], []
    leaving, watched = state.get("departures", {}).get("leaving", {}), state.get("watched", {})
    for pool in state["pools"].values():
        for endpoint in pool["endpoints"]:
            name, load = endpoint["id"], endpoint.get("load") or {}
            seen = watched.get(name, {})
            until, why = _until_and_why(endpoint, leaving.get(name), seen)
            flying, slots = endpoint["in_flight"] + endpoint.get("in_flight_elsewhere", 0), endpoint.get("slots")
            sheet.add(
                name, Text(endpoint["state"], STYLES.get(endpoint["state"], "")), _time(endpoint.get("for_s")), until, str(flying) if slots is None else f"{flying}/{slots}",
                seen.get("engine") or DASH, seen.get("version") or DASH, _number(load.get("running")), _number(load.get("waiting")),
                DASH if load.get("kv_usage") is None else f"{load['kv_usage']:.0%}", _time(endpoint["window"]["ttft_p95_s"]), why, endpoint["url"])
            reasons.append(why)
            ids.append(name)
            troubled.append(bool(why) or endpoint["state"] != "healthy")
            busy.append(flying)
    has_why = why_place in sheet.shown(width)

    def notes_of(places: list[int]) -> list[Text]:
        return [] if has_why else [line for place in places if reasons[place] for line in _note(ids[place], reasons[place], "", width)]

    places = list(range(len(ids)))
    if height is None or 1 + len(places) + len(notes_of(places)) <= height:
        return [*sheet.lines(width), *notes_of(places)]
    by_weight = sorted(places, key=lambda place: (not troubled[place], -busy[place], place))
    count = len(places) - 1
    while count > FEWEST_ENDPOINTS and 2 + count + len(notes_of(by_weight[:count])) > height:
        count -= 1
    kept = sorted(by_weight[:count])
    rest = [place for place in places if place not in set(kept)]
    ill = sum(troubled[place] for place in rest)
    more = f"and {len(rest)} more, {'all healthy' if not ill else f'{ill} of them not well'} (a higher window shows them, and --once)"
    return [*sheet.lines(width, kept), Text(more, "dim", no_wrap=True, overflow="ellipsis"), *notes_of(kept)]


def _until_and_why(endpoint: dict[str, Any], leaving: dict[str, Any] | None, seen: dict[str, Any]) -> tuple[str, str]:
    if leaving is not None:
        is_gone = leaving["leaves_in_s"] <= 0
        return (DASH, f"has left: {leaving['reason']}") if is_gone else (_time(leaving["leaves_in_s"]), f"leaves: {leaving['reason']}")
    why = f"{endpoint['cause']}: {endpoint['detail']}" if endpoint.get("detail") else endpoint["cause"]
    if not why and seen.get("disbelieved"):
        why = f"its load report is not believed: {seen['disbelieved']}"
    if not why and seen.get("why") and seen.get("is_polled"):
        why = f"its load is unknown: {seen['why']}"
    return _time(endpoint["opens_in_s"]), why.replace(f"endpoint {endpoint['id']}: ", "").replace(f"endpoint {endpoint['id']} ", "it ")


def _note(name: str, text: str, style: str, width: int) -> list[Text]:
    """`name: text`, over several lines if need be."""
    return [Text(line, style, no_wrap=True) for line in wrap(f"{name}: {text}", max(20, width), initial_indent="  ", subsequent_indent="    ")]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return DASH
    if seconds < 60:
        return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * HOUR_S else f"{seconds / HOUR_S:.0f} h" if seconds < 2 * DAY_S else f"{seconds / DAY_S:.0f} d"


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:g}" if isinstance(value, int) else f"{value:.1f}"
