"""A server that ends well: long polls are answered and streams end before it closes."""

import socket

import uvicorn
from fastapi import FastAPI

# What is left after the door has let everybody go: slow uploads, the console's sockets.
GRACE_S = 2


class DoorServer(uvicorn.Server):
    """Serves one door; told to end, it lets those who wait go first."""

    def __init__(self, app: FastAPI, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._door = app.state.door

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door on the event loop, then the server."""
        self._door.close()
        await super().shutdown(sockets)
