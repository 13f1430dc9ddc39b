"""The shim: one process that launches one attempt and outlives the agent; and the attempt's folder.

Standard library only: it runs wherever an engine starts it, on machines with no more than Python.
"""
