"""Who comes after the tour: requests of the person's own client, as their records arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from pointsman.core.record import Record
from pointsman.records.store import Store

LOOK_EVERY_S = 1.0
_AT_ONCE = 50


async def visitors(records: str, known: Iterable[str]) -> AsyncIterator[Record]:
    """New records, oldest first, for ever; `known` are ids to pass over. A crowd of more than 50 a second is not shown whole."""
    store, seen = Store(records), set(known)
    try:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for record in reversed(await asyncio.to_thread(store.recent, _AT_ONCE)):
                if record.id not in seen:
                    seen.add(record.id)
                    yield record
    finally:
        store.close()
