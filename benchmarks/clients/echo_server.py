"""The real server with an echo in place of its models, for what client and server cost without them.

    python -m benchmarks.clients.echo_server

Prints its address and serves until it gets SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal

from tests.fakes import serve_fakes


async def _serve() -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with serve_fakes() as server:
        print(f"127.0.0.1:{server.port}", flush=True)
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
