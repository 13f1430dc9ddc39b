"""The parts of the load table: each yields figures, and can be run alone with `--only`."""
