"""The durable truth: tables and migrations; load a World, commit Changes.

Reads and writes SQLite (WAL) through SQLAlchemy Core in portable SQL; decides nothing. Doors and
agents append to the inbox; the decider alone writes decided tables.
"""
