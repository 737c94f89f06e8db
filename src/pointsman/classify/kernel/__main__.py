"""Says which arithmetic runs: the last line of `make setup`."""

from __future__ import annotations

from pointsman.classify.kernel.build import found

if __name__ == "__main__":
    print(f"kernel: {found()}{'' if found().module else ' (slower by some 100 us a request, otherwise the same)'}")  # noqa: T201  its result
