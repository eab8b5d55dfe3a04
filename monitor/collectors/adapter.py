"""How client libraries on requests reach a platform: with a timeout, and no longer in all than some of these.

Imported by the function that needs it, since requests is slow to load.
"""

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool, HTTPConnectionPool

from monitor.collectors.deadline import PATIENCE, Deadline, Watched


class Timely(HTTPAdapter):
    """Raises requests.ReadTimeout where an answer takes too long in all; of one that is streamed, its head.

    The timeout of each read is set here as well: some libraries have none, or do not hand it on. With `head_only` it
    stays what the library asks for, and whoever reads the body sets a deadline for it.
    """

    def __init__(self, timeout: float | tuple[float, float], head_only: bool = False) -> None:
        self._timeout, self._head_only = timeout, head_only
        self._seconds = PATIENCE * (max(timeout) if isinstance(timeout, tuple) else timeout)
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        whole = not (self._head_only or (args[0] if args else options.get("stream")))
        if not self._head_only:
            options["timeout"] = self._timeout
        with Deadline(self._seconds) as deadline:
            try:
                answer = super().send(request, *args, **options)
                if whole:
                    _ = answer.content  # which requests would read when nobody looks at the time any more
            except Exception as error:
                if deadline.over:
                    raise self._late(request) from error
                raise
        if deadline.over:
            answer.close()
            raise self._late(request)
        return answer

    def get_connection_with_tls_context(self, *args: Any, **given: Any) -> ConnectionPool:
        """Return where a connection comes from; each tells its socket to the deadline under way."""
        pool = super().get_connection_with_tls_context(*args, **given)
        if isinstance(pool, HTTPConnectionPool) and pool.ConnectionCls in _WATCHED:  # a SOCKS proxy has others
            pool.ConnectionCls = _WATCHED[pool.ConnectionCls]
        return pool

    def _late(self, request: requests.PreparedRequest) -> requests.ReadTimeout:
        return requests.ReadTimeout(f"no whole answer in {self._seconds:g} seconds", request=request)


class _Http(Watched, HTTPConnection):
    pass


class _Https(Watched, HTTPSConnection):
    pass


_WATCHED: dict[Any, Any] = {HTTPConnection: _Http, HTTPSConnection: _Https}
