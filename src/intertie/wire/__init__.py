"""The public contract: versioned requests, answers and events, and how they map to the nouns.

Reads and returns pydantic models; imports `model` only. Every field carries its unit in its
name. A job spec becomes a `model.request.Request` here and nowhere else.
"""
