"""The fake engine: attempts that only pass time, told by their environment; it starts no process.

For load tests and for trying an agent out; what it says of an attempt follows from its clock.
"""
