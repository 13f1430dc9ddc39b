"""What the network wants of this pool, kept by deltas, and whether that is still the whole of it.

Both sides sum the marks of the same leases: where the sums differ something was missed, and the
agent asks for everything.
"""

from intertie.model.ids import decode
from intertie.model.states import Cause
from intertie.wire.digest import digest_text, lease_mark
from intertie.wire.sync import ExplicitStop, SyncAnswer, WantedLease


class WantedSet:
    """The leases that should run or stop, as of `heard_round` of `incarnation`.

    `digest` is what the network said of its own set last; `heard_round` is 0 while everything is
    to be asked for.
    """

    def __init__(self) -> None:
        self.heard_round = 0
        self.incarnation = 0
        self.digest = ""
        self._marks: dict[str, int] = {}

    def ask_everything(self) -> None:
        """Begin anew: the next answer says all that is wanted."""
        self.heard_round, self.digest = 0, ""

    def take_in(self, answer: SyncAnswer) -> bool:
        """Fold an answer in; False if it is older than what was heard, and its leases are stale."""
        if answer.incarnation != self.incarnation and not answer.is_full:
            self.ask_everything()
            return False
        if answer.incarnation == self.incarnation and self._is_old(answer):
            return False
        if answer.is_full:
            self._marks.clear()
        self._marks |= {each.lease: _wanted_mark(each) for each in answer.leases}
        self._marks |= {each.lease: _stop_mark(each) for each in answer.stops}
        for lease in (*answer.gone, *answer.forget):
            self._marks.pop(lease, None)
        self.heard_round, self.incarnation = answer.round, answer.incarnation
        self.digest = answer.wanted_digest
        if digest_text(sum(self._marks.values())) != answer.wanted_digest and not answer.is_full:
            self.ask_everything()
        return True

    def _is_old(self, answer: SyncAnswer) -> bool:
        if answer.is_full:
            return answer.round < self.heard_round
        # A delta says what changed since what was heard when it was asked for: if everything is
        # being asked for since, it is not enough.
        return answer.round <= self.heard_round or not self.heard_round


def _wanted_mark(wanted: WantedLease) -> int:
    return lease_mark(decode("lease", wanted.lease), wanted.token, wanted.until)


def _stop_mark(stop: ExplicitStop) -> int:
    cause = Cause[stop.cause.upper()]
    return lease_mark(decode("lease", stop.lease), stop.token, -cause)
