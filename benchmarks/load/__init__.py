"""The load table: `python -m benchmarks load`, what one control plane carries beside its peers.

Everything that counts went over HTTP, was reported by another process under a signature, was
settled in the books and is on disk with fsync on. Each part brings up a network of its own and
takes the machine's limits and its neighbours in the same run: trust the ratios.
"""
