"""A console in a process of its own, before a network at another address.

Run as ``python -m tests.console.apart PORT URL``.
"""

import sys

import uvicorn
from fastapi import FastAPI

from intertie.catalogue.texts import languages, text
from intertie.console.pages import mount

if __name__ == "__main__":
    app = FastAPI(openapi_url=None)
    mount(app, sys.argv[2], text, languages(), "a secret of this test")
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
