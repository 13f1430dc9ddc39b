"""What never happens, in random lives of a network with everything that can go wrong."""

from hypothesis import Phase, given, settings

from tests.property.scripts import Act, Life, lives

# A life is short enough to read as it is, and long to shrink.
AS_FOUND = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(phases=AS_FOUND, max_examples=settings.default.max_examples * 2 // 5)
@given(lives)
def test_no_law_is_broken_in_any_life_of_a_network(script: list[Act]) -> None:
    Life().live(script)
