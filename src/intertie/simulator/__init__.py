"""The same river on a virtual clock: traces in, a scoreboard out.

It reads a trace and a policy, drives the steps of `cycle/` and returns decisions, postings and
scores. It may fuse steps for speed but holds no rule of its own: a constant changed in a kernel
moves both live and simulated decisions, and a test proves it.
"""
