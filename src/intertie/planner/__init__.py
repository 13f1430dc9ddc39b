"""Size: what a request needs, in duration and service units, with its assumptions.

Reads a request, the project's history and catalogue values; returns a `Sizing` or a `Refusal`.
Pure: no clock, no I/O, no chance.
"""
