"""The kubernetes engine: one Job for each attempt, its folder on a volume that the agent sees too.

`render` makes documents and `parse` reads them, both pure; `site` talks to the API server and
`watching` keeps what it says; `box.sh` is the first process of each container.
"""
