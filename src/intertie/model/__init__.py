"""The nouns of the network, their units and their states; nothing but the standard library.

A noun whose fields are all whole numbers is *columnar*: `world/` keeps it as int64 columns and
`store/` as a table of the same name, both derived from the dataclass, so that a field is written
once. What cannot be a number (names, commands, facts about a pool) is a *document*: a frozen
value that belongs to one row. No clock, no I/O, no prose.
"""
