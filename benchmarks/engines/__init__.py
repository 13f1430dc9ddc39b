"""Starting and running through Intertie beside the clusters' own commands, on the same cluster."""
