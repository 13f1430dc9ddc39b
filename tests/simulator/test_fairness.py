"""US1: six people share four cards for a day, through the whole river on a virtual clock."""

from benchmarks.fairness import AIM, CARDS, card_hours
from intertie.model.policy import Policy


def test_six_people_with_equal_shares_of_four_cards_get_alike_in_a_day() -> None:
    hours = card_hours(Policy(), 1)
    assert sum(hours) >= CARDS * 24 * 0.99, "and no card idles meanwhile"
    assert max(hours) <= AIM * min(hours), hours


def test_without_shares_who_asks_first_for_all_of_it_gets_most_of_the_day() -> None:
    hours = card_hours(Policy(share_by="none"), 1)
    assert max(hours) > AIM * min(hours), hours
