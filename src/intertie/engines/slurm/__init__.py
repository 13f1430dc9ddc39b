"""The Slurm engine: a site's own commands (or slurmrestd) behind the Engine protocol.

An ordinary user of the site suffices. `commands` renders argument lists, `parsing` reads what
comes back, `judging` says what that means; all three are pure. `runner` alone starts anything.
Over REST `rest_rendering` and `rest_parsing` are the pair, and `rest_site` alone asks.
"""
