"""One pure decision for each step of the river; `river.py` gives the order.

Each step reads (world, inbox, policy, now) and returns `Changes`. No clock, no I/O, no chance.
"""
