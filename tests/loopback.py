"""What the counterfeit platforms share: a quiet HTTP server on loopback that answers without delay."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class LoopbackServer(ThreadingHTTPServer):
    """A thread for each connection; ending it waits for none."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class LoopbackHandler(BaseHTTPRequestHandler):
    """Keeps connections open, and sends at once: waiting for more costs 50 ms a request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the request log is in memory."""
