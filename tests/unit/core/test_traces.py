from __future__ import annotations

import gc
import weakref

from pointsman.core.traces import untraced


class Held:
    """What a frame holds."""


def _failed() -> tuple[RuntimeError, weakref.ref[Held]]:
    held = Held()
    kept: list[BaseException] = []
    try:
        try:
            raise OSError("refused")
        except OSError as exc:
            kept.append(exc)
            raise RuntimeError("no connection") from exc
    except RuntimeError as error:
        kept.append(error)
        return error, weakref.ref(held)


def test_what_frames_hold_is_free_without_a_collector():
    gc.disable()
    try:
        error, held = _failed()
        assert held() is not None
        untraced(error)
        assert held() is None
    finally:
        gc.enable()


def test_what_it_says_and_why_stays():
    error, _ = _failed()
    untraced(error)
    assert str(error) == "no connection"
    assert str(error.__cause__) == "refused"


def test_a_chain_that_bites_its_tail_has_an_end():
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__cause__, second.__cause__ = second, first
    untraced(first)
