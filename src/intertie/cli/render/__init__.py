"""What commands print: wire models in, rich tables and lines out. Pure."""
