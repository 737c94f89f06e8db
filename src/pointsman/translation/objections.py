"""What a translation cannot say, and what becomes of that.

Usually it refuses the request. Where an endpoint could be given the client's own bytes instead, the request is
translated without it, for the classifiers to read, and goes to such an endpoint only.
"""

from __future__ import annotations

from collections.abc import Iterable

from pointsman.errors import UnsupportedField


class Objections:
    """Of one request."""

    def __init__(self, *, lenient: bool = False) -> None:
        """`lenient`: an endpoint of the API's own maker could take the request as it is."""
        self._lenient = lenient
        self.first: UnsupportedField | None = None
        """Set: the translation is not what the client asked for."""
        self.is_plain = True
        """Engines that speak the client's API are known to understand all of it."""
        self.dropped: list[str] = []
        """Hosted tools that were left out: the model has others to answer with."""

    def object(self, error: UnsupportedField) -> None:
        """Raises `error` unless somebody can take the request as it is."""
        if not self._lenient:
            raise error
        self.is_plain = False
        if self.first is None:
            self.first = error

    def hosted(self, tools: Iterable[tuple[str, UnsupportedField]], *, is_wanted: bool) -> None:
        """Tools that would run on the provider's servers. `is_wanted`: the request is about them, so that an answer
        without them would be another's."""
        for kind, error in tools:
            self.is_plain = False
            if is_wanted:
                self.object(error)
            else:
                self.dropped.append(kind)

    @property
    def only_at_origin(self) -> str:
        return "" if self.first is None else str(self.first)
