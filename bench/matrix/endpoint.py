"""A right-answering endpoint as a process of its own, to be stopped and killed: `endpoint.py PORT [DELAY_S]`."""

from __future__ import annotations

import asyncio
import sys

from pointsman.testing import fault_answers as answers
from pointsman.testing.fault_server import FaultServer
from pointsman.testing.fault_steps import Scenario, Wait


async def main(port: int, delay_s: float) -> None:
    async with FaultServer(Scenario(lambda asked: [Wait(delay_s), *answers.right(asked)]), port=port) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))
