"""The provider's side: observe, benchmark, start, stop, meter and report.

It reads the network's answers to one repeated exchange, which it dials out for, and returns
observations and samples signed with its own key. It stops only what carries an explicit stop or
has reached its own limits, and losing the network ends no job. It must not import numpy at start.
"""
