"""Place: queue order, fair share, gangs, and the constraints of data, latency and software.

Reads claims, capacity and shares; returns where each task goes, or a refusal. Price never orders
the queue here. The kernel in `fill.py` has a slow, obvious twin in the tests.
"""
