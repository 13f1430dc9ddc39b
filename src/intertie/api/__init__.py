"""The HTTP doors: routes between the wire and the store, and who may use them.

A route reads a checked request, appends to the inbox or answers from what the decider published,
and returns a wire model or a problem document that names the field and the fix. Authentication
and idempotency live here. No business rule does.
"""
