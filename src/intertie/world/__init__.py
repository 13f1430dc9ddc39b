"""The columns that a decision reads, `Changes`, and the only `apply`.

Each columnar noun of `model` is a `Table` of int64 columns; documents and balances are plain
dictionaries beside them. Reads values, returns values: no clock, no I/O.
"""
