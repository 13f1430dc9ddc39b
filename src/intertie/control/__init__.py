"""Loops around the pure rooms: clock, wake-ups, the decider, the first start, settings.

Reads the store and the clock; calls `cycle.river.flow`; commits. It holds no rule of business.
"""
