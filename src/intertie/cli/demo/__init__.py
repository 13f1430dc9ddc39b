"""The demo: the story of one job through three unlike providers, from the network's own records."""
