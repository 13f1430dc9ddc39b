"""Settle: accounts, holds and postings in double entry; nothing is edited, only reversed.

Reads usage, terms and holds; returns `Transaction`s whose postings balance by construction.
Amounts are whole micro-credits in Python integers.
"""
