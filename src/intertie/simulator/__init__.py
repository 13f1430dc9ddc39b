"""The same river on a virtual clock: fake agents, workloads, replays of what was recorded.

It drives `cycle.river.flow` and holds no rule of its own.
"""
