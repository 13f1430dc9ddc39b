"""What one process of a network does: a door with the console, or a decider."""

import signal
import threading
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Place:
    """Where a network keeps its truth: a folder for blobs and logs, and a database's URL."""

    data: Path
    database: str

    @classmethod
    def of(cls, data: Path, database: str | None = None) -> "Place":
        """Return the place of a data folder; its own SQLite file unless a database is named."""
        from intertie.control.bootstrap import database_url

        return cls(data, database or database_url(data))


def serve(place: Place, port: int, host: str = LOOPBACK, has_console: bool = True) -> None:
    """Run a door, and the console on it, until the process is told to end."""
    from intertie.api.app import create_app
    from intertie.api.serving import DoorServer
    from intertie.control.bootstrap import open_network
    from intertie.control.wake import Wake

    engine = open_network(place.database)
    wake = Wake(place.data, "door")
    app = create_app(engine, wake, place.data)
    if has_console:
        from intertie.catalogue.texts import languages, text
        from intertie.console.pages import mount
        from intertie.control.bootstrap import console_secret

        mount(app, f"http://{LOOPBACK}:{port}", text, languages(), console_secret(engine))
    try:
        DoorServer(app, host, port).run()
    finally:
        wake.close()
        engine.dispose()


def decide(place: Place) -> None:
    """Run a decider until the process is told to end: it leads, or follows who leads."""
    from intertie.control.kernels import prepare_kernels, warm_kernels

    prepare_kernels()
    from intertie.control.bootstrap import open_network
    from intertie.control.decider import run
    from intertie.control.wake import Wake

    engine = open_network(place.database)
    warm_kernels()
    wake = Wake(place.data, "decider")
    should_stop = threading.Event()

    def stop(*_: object) -> None:
        should_stop.set()
        wake.poke()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        run(engine, wake, should_stop)
    finally:
        wake.close()
        engine.dispose()
