"""Serving the pages in a thread of the process that runs everything else."""

import sys
import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from db.errors import SentimonError
from monitor.config import Config

TURN = 0.001  # seconds: a page that is quickly made waits so long, and not 5 ms, for each that is not, again and again
LAST_WORD = 2.0  # seconds that requests in flight get at the end, after those that the jobs get


class Server:
    """Serves from `start` to `stop`; raises when the address is taken."""

    def __init__(self, config: Config, clock: Callable[[], datetime] | None = None) -> None:
        import uvicorn

        from monitor.web.app import build

        self._address = (config.web.host, config.web.port)
        self._app = build(config, clock)
        settings = uvicorn.Config(
            self._app,
            host=config.web.host,
            port=config.web.port,
            log_level="warning",
            access_log=False,  # it would hold the tokens of links
            proxy_headers=False,  # who is believed, addresses.py says
        )
        self._server: Any = uvicorn.Server(settings)
        self._socket: Any = None
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()

    @property
    def url(self) -> str:
        """Where the pages are, once started."""
        host, port = self._socket.getsockname()[:2] if self._socket else self._address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def start(self) -> None:
        """Take the address and serve."""
        import socket

        host, port = self._address
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._socket = socket.create_server((host, port), family=family)
        except (OSError, UnicodeError) as error:  # the latter for a host that cannot be a name
            said = str(getattr(error, "strerror", None) or error)
            reason = said.partition(" (while ")[0]  # create_server says the address as well
            raise SentimonError(
                f"cannot serve on {host}:{port}: {reason}; name another port in [web] or with --port"
            ) from error
        sys.setswitchinterval(TURN)
        site = self._app.state.site
        freshen = [partial(answers.keep_fresh, self._over) for answers in (site.answers, site.cared, site.searches)]
        for work in (partial(self._server.run, sockets=[self._socket]), *freshen):
            self._threads.append(threading.Thread(target=work, daemon=True))
            self._threads[-1].start()

    def leave(self) -> None:
        """Take no more requests; does not wait, so that a signal handler can say it."""
        self._server.should_exit = True
        self._over.set()
        self._app.state.live.end()  # pages that listen would go on for ever

    def stop(self) -> None:
        """End, giving requests in flight a moment."""
        self.leave()
        for thread in self._threads:
            thread.join(LAST_WORD)
        self._app.state.site.pool.close()
