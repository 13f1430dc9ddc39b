"""Engines: the software that starts work on a pool, behind one small protocol.

An engine reads a `LeaseBody`, starts and stops processes, and returns `Observed` values. It
decides nothing: what should run is the network's word, carried by the agent.
"""
