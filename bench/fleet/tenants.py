"""A flood of one tenant, and another's few requests, over the fleet in virtual time.

`python bench/fleet/tenants.py [DATA] [--seeds 3] [--first-seed 3] [--loads 150,200] [--traces conv,mooncake]`

The flood asks for `--loads` percent of the capacity, the other for 5 %, of which it also shows how long they take alone. "One" is both
as one tenant: the order of arrival, sizes and homes, and nobody's share. Times to first token, p50 / p95; who gave up counts with its patience.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import msgspec
from machines import Machines
from virtual import BALANCERS_HERE, Task, VirtualFleet, fresh, quantile, workload

from pointsman.core.request import Caller

FEW = 5.0
"""Percent of the capacity that the other tenant asks for."""
OTHER_SEED = 1_000
"""Its requests are another part of the trace."""


def of(tenant: str, tasks: list[Task]) -> list[Task]:
    """The same requests, sent by this tenant."""
    return [Task(task.arrival, msgspec.structs.replace(task.request, caller=Caller(tenant, tenant=tenant)), task.prefix) for task in tasks]


def play(machines: Machines, tasks: list[Task], seed: int, *, is_shared: bool, patience_s: float) -> tuple[list[Task], float]:
    """What became of them, and the share of all that was in time."""
    fleet = VirtualFleet(machines, BALANCERS_HERE["prefix"](), seed=seed, patience_s=patience_s)
    if fleet.pool.anteroom is not None:
        fleet.pool.anteroom.is_shared = is_shared
    outcome = fleet.play(sorted(tasks, key=lambda task: task.arrival.at_s))
    return outcome.tasks, outcome.attained


def times(tasks: list[Task], patience_s: float, chosen: Callable[[Task], bool]) -> tuple[float, float]:
    """p50 and p95 of those, in seconds."""
    found = sorted(patience_s if task.ttft_s is None else task.ttft_s for task in tasks
                   if chosen(task) and (task.ttft_s is not None or task.error == "gave up"))
    return quantile(found, 0.5), quantile(found, 0.95)


def floods(options: argparse.Namespace) -> None:
    """A line for each trace and load."""
    for name in options.traces:
        for load in options.loads:
            columns: dict[str, list[tuple[float, float]]] = {}
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                machines = Machines(options.endpoints, options.seconds)
                flood, arrivals = workload(name, options.data, machines, load, seed)
                few, few_arrivals = workload(name, options.data, machines, FEW, seed + OTHER_SEED)
                flood, few = of("flood", fresh(flood, arrivals)), of("other", fresh(few, few_arrivals))
                for how, tasks, is_shared in (
                        ("alone", few, True), ("one", [*flood, *few], False), ("two", [*flood, *few], True)):
                    others = {id(task.request) for task in few}
                    played = [Task(t.arrival, t.request if is_shared else msgspec.structs.replace(t.request, caller=Caller("one", tenant="one")), t.prefix)
                              for t in tasks]
                    if not is_shared:
                        others = {id(new.request) for old, new in zip(tasks, played, strict=True) if id(old.request) in others}
                    done, _ = play(machines, played, seed, is_shared=is_shared, patience_s=options.patience)
                    columns.setdefault(f"other, {how}", []).append(times(done, options.patience, lambda t, o=others: id(t.request) in o))
                    if how != "alone":
                        columns.setdefault(f"flood, {how}", []).append(times(done, options.patience, lambda t, o=others: id(t.request) not in o))
            print(f"{name:9} {load:4.0f}% " + "  ".join(
                f"{column}: {statistics.fmean(p50 for p50, _ in found):.1f} / {statistics.fmean(p95 for _, p95 in found):.1f} s"
                for column, found in columns.items()), flush=True)


def equals(options: argparse.Namespace) -> None:
    """Equal traffic as one tenant and as several: how many are in time."""
    for name in options.traces:
        found: dict[int, list[float]] = {}
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            machines = Machines(options.endpoints, options.seconds)
            tasks, arrivals = workload(name, options.data, machines, options.loads[0], seed)
            for count in (1, 3, 10):
                mixed = [task for number, task in enumerate(fresh(tasks, arrivals)) for task in of(f"t{number % count}", [task])]
                found.setdefault(count, []).append(play(machines, mixed, seed, is_shared=count > 1, patience_s=options.patience)[1])
        print(f"{name:9} {options.loads[0]:4.0f}% in time as " + ", ".join(f"{count}: {statistics.fmean(shares):.1%}" for count, shares in found.items()),
              flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="folder with the traces; absent: synthetic ones")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--patience", type=float, default=60.0)
    parser.add_argument("--endpoints", type=int, default=8)
    parser.add_argument("--loads", type=lambda text: [float(part) for part in text.split(",")], default=[150.0, 200.0])
    parser.add_argument("--traces", type=lambda text: text.split(","), default=["conv", "mooncake"])
    options = parser.parse_args()
    floods(options)
    equals(options)


if __name__ == "__main__":
    main()
