"""Benchmarks: `python -m benchmarks list`, then `python -m benchmarks NAME [--json]`; figure last.

Each runs against a real embedded network on loopback and beside a peer or a limit in the same run,
because machines are noisy and a ratio travels better than a number.
"""
