"""What may go wrong at each address, as the OpenAPI document has it, and requests that are not as described."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.web.problem import TYPE, problem

WHEN = {
    400: "What was asked makes no sense, or the body is no UTF-8 text.",
    401: "The token is missing, unknown, expired or revoked.",
    403: "The token lacks the scope, its owner the role; or a browser sent no X-CSRF-Token.",
    404: "There is no such thing, or it belongs to a brand that the token's owner may not see.",
    405: "This address takes other methods.",
    409: "Somebody else has it, or has changed it since: read it again. `current` is how it is now.",
    413: "The body is too large.",
    422: "A parameter or the body is not as described, or the body is no JSON: `detail` names the first mistake.",
    429: "Too many requests: wait as long as Retry-After says.",
    503: "The database cannot answer now: try again.",
}
ALWAYS = (401, 403, 422, 429, 503)  # what any address may answer
LARGEST = 200_000  # bytes of a body: the longest reply, each of its characters written as \uXXXX\uXXXX


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that an address may answer with, beside those of ALWAYS."""
    return {
        status: {
            "description": WHEN[status],
            "content": {TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({*ALWAYS, *statuses})
    }


def install(app: FastAPI) -> None:
    """Let requests that are not as described be answered in our shape."""

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem(422, _first(error))


def _first(error: RequestValidationError) -> str:
    """Say where the first mistake is and what was wanted; not what was sent, which may be anything."""
    found = error.errors()[0]
    where = ".".join(str(part) for part in found["loc"][1:] if isinstance(part, str | int))
    if found["type"] == "json_invalid":
        return "The body is no JSON."
    message = str(found["msg"]).removeprefix("Value error, ")
    more = len(error.errors()) - 1
    return f"{where[:60] or found['loc'][0]}: {message[:200]}" + (f" (and {more} more)" if more else "")


class Limited:
    """The middleware that reads no body to its end that is larger than any of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0

        async def received() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST:
                raise HTTPException(413, f"The body is larger than {LARGEST:,} bytes.")
            return message

        await self._app(scope, received, send)
