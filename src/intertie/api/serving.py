"""A server that ends well: load balancers look elsewhere, who waits is let go, then it closes."""

import asyncio
import socket

import uvicorn
from fastapi import FastAPI

from intertie.api.certificates import Certificate
from intertie.control.metrics import IS_DRAINING

# For what is under way once the door has let everybody go: longer than a request waits for a round.
GRACE_S = 12
# Longer than callers pause between requests: a request on a connection that just closed is lost.
KEEP_ALIVE_S = 75
MESSAGE_BYTES_MAX = 1 << 20  # of a WebSocket: it is held whole before anybody sees it


class DoorServer(uvicorn.Server):
    """Serves one door. Told to end, it first says for `notice_s` that it is not ready any more.

    So a load balancer stops sending before anything is refused; then long polls and streams are
    let go, requests under way are finished, and the process ends.
    """

    def __init__(
        self,
        app: FastAPI,
        host: str = "127.0.0.1",
        port: int = 0,
        notice_s: float = 0,
        certificate: Certificate | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=GRACE_S,
                timeout_keep_alive=KEEP_ALIVE_S,
                ws_max_size=MESSAGE_BYTES_MAX,
                ssl_certfile=certificate.chain if certificate else None,
                ssl_keyfile=certificate.key if certificate else None,
            )
        )
        self._app = app
        self._notice_s = notice_s

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain on the event loop, then close the server."""
        self._app.state.is_draining = True
        IS_DRAINING.set(1)
        await asyncio.sleep(self._notice_s)
        self._app.state.door.close()
        await super().shutdown(sockets)
