"""The `intertie` command: for users, providers and operators; composes the processes.

It reads arguments and settings, calls the SDK or starts a process, and prints tables with units or
JSON, with documented exit codes. It is the only room that may see every other. It must not hold a
rule that another room could hold.
"""
