"""The host engine: sandboxed processes on one machine. Start reading at `engine.py`."""
