"""A bare Starlette route that gives the same bytes from memory, on the same server software with the same options.

python -m bench.bare --port PORT     frames: the files of the folder BENCH_FRAMES, in turn
"""

from __future__ import annotations

import argparse
import os
from itertools import cycle
from pathlib import Path

from granian import Granian
from granian.constants import Interfaces, Loops
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


def create_app() -> Starlette:
    """Make the ASGI application."""
    stored = cycle([path.read_bytes() for path in sorted(Path(os.environ["BENCH_FRAMES"]).iterdir())])

    async def frame(_: Request) -> Response:
        return Response(next(stored), media_type="image/jph")

    async def healthz(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/datastore/{datastore}/imageSet/{image_set}/getImageFrame", frame, methods=["POST"]),
        ]
    )


def main() -> None:
    """Serve until SIGTERM, with the options of `hounsfield.server.supervisor`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    Granian(
        "bench.bare:create_app",
        address="127.0.0.1",
        port=arguments.port,
        interface=Interfaces.ASGI,
        factory=True,
        loop=Loops.asyncio,
        workers=arguments.workers,
        backlog=2048,
        log_enabled=False,
        respawn_failed_workers=True,
        websockets=False,
    ).serve()


if __name__ == "__main__":
    main()
