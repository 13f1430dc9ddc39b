"""What never happens, in random lives of a network with everything that can go wrong."""

from hypothesis import given, settings

from tests.property.scripts import Act, Life, lives


@settings(max_examples=40)
@given(lives)
def test_no_law_is_broken_in_any_life_of_a_network(script: list[Act]) -> None:
    Life().live(script)
