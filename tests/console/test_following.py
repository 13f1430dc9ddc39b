"""What runs beside a page speaks to the network as the page does."""

import time
from pathlib import Path

from intertie.api.certificates import self_signed
from intertie.cli.embedded import EmbeddedNetwork
from intertie.cli.listening import Listening
from intertie.console.following import Follower
from intertie.console.visitors import Visitors
from tests.support.live import wait_until

PATIENCE_S = 30.0


def test_a_page_is_followed_over_tls_with_a_pinned_certificate(tmp_path: Path) -> None:
    made = self_signed(tmp_path, "127.0.0.1")
    listening = Listening(0, chain=str(made.chain), key=str(made.key))
    with EmbeddedNetwork(tmp_path / "network", listening=listening) as network:
        operator = network.client()
        token = operator.create_project("group", trial=5).token
        provider = operator.create_provider("lab")
        given = {"enrol_token": provider.enrol_token, "price": "0.10", "engine": "fake"}
        network.add_agent("lab", given)
        wait_until(lambda: any(offer.score for offer in operator.offers()), network)
        visitors = Visitors(network.address)
        visitor = visitors.find(visitors.sign_in(token, "en"))
        assert visitor is not None
        job = visitor.network("en").submit({"command": ["true"]})
        follower = Follower(visitor, "en", lambda it: it.events(job, follow=True))
        try:
            ends = time.monotonic() + PATIENCE_S
            while not (seen := follower.take()):
                assert follower.error is None, follower.error
                assert time.monotonic() < ends, "nothing was heard"
                time.sleep(0.05)
            assert seen[0].job == job.id
        finally:
            follower.close()
            visitor.leave()
