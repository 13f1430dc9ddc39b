"""The fake engine keeps the protocol as far as an engine can that runs nothing."""

from intertie.engines.conformance import EngineConformance


class TestFake(EngineConformance):
    engine_name = "fake"
    runs_programs = False
