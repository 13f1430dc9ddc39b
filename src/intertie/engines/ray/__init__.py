"""The Ray engine: each attempt is one job of a Ray cluster, submitted by its Jobs REST API.

The attempts' folder is on a file system that the agent and every node see; the job is the shim,
which launches the program in that folder and writes its end there.
"""
