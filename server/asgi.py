"""The app for other servers: ``hypercorn collab.server.asgi:app``, uvicorn and the like.

It is set up from ``COLLAB_STORE`` alone (default ``sqlite:///collab.db``); to set more, make a
``Collab`` of your own.
"""

import os

from collab.server.app import Collab

app = Collab(os.environ.get("COLLAB_STORE", "sqlite:///collab.db"), demo=True)
