"""Meter: two meters become one usage record for each slice of a lease.

Reads what the agent's and the network's meters say; returns `UsageRecord`s. The lower of the two
is always paid; a difference above the tolerance is a dispute. It moves no money.
"""
