"""What one process of a network does: a door with the console, or a decider."""

import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from intertie.cli.listening import Listening
from intertie.cli.worker import Worker

NICENESS = 10


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


def serve(place: Place, listening: Listening, log_level: str = "info") -> None:
    """Run a door, and the console on it, until the process is told to end."""
    from intertie.control.logs import configure

    configure("door", log_level)
    from intertie.api.app import create_app
    from intertie.api.serving import DoorServer
    from intertie.control.bootstrap import open_network
    from intertie.control.metrics import watch_database
    from intertie.control.wake import Wake
    from intertie.store.artefacts import blobs_told_by

    engine = open_network(place.database)
    watch_database(engine)
    wake = Wake(place.data, "door", engine)
    worker = Worker(place.database, place.data / "log" / "what-ifs.log")
    blobs = blobs_told_by(os.environ, place.data)
    app = create_app(engine, wake, place.data, blobs, worker.wake)
    if listening.has_console:
        from intertie.catalogue.texts import languages, text
        from intertie.console.pages import mount
        from intertie.control.bootstrap import console_secret

        mount(app, listening.own_address, text, languages(), console_secret(engine))
    own = (listening.host, listening.port, listening.notice_s, listening.certificate)
    try:
        DoorServer(app, *own).run()
    finally:
        worker.end()
        wake.close()
        engine.dispose()


def live_again(database: str) -> None:
    """Live through the what-ifs that wait, behind everybody else on this machine."""
    os.nice(NICENESS)
    from intertie.control.kernels import prepare_kernels

    prepare_kernels()
    from intertie.cli.whatifs import work
    from intertie.control.bootstrap import open_network

    engine = open_network(database)
    try:
        work(engine)
    finally:
        engine.dispose()


def decide(place: Place, metrics_port: int = 0, log_level: str = "info") -> None:
    """Run a decider until the process is told to end: it leads, or follows who leads."""
    from intertie.control.kernels import prepare_kernels, warm_kernels
    from intertie.control.logs import configure

    configure("decider", log_level)
    prepare_kernels()
    from intertie.control.bootstrap import open_network
    from intertie.control.courier import Courier
    from intertie.control.decider import run
    from intertie.control.delivering import Reach
    from intertie.control.metrics import serve_metrics, watch_database
    from intertie.control.wake import Wake

    engine = open_network(place.database)
    watch_database(engine)
    warm_kernels()
    wake = Wake(place.data, "decider", engine)
    should_stop = threading.Event()

    def stop(*_: object) -> None:
        should_stop.set()
        wake.poke()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    end_metrics = serve_metrics(metrics_port) if metrics_port else None
    try:
        courier = Courier(engine, wake, Reach.told_by(os.environ))
        run(engine, wake, should_stop, courier.working)
    finally:
        if end_metrics is not None:
            end_metrics()
        wake.close()
        engine.dispose()
