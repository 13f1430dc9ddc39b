"""Traces: what real clusters were asked for, read from the formats in which they are published."""
