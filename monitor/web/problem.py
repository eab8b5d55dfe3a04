"""Why something was not done, as programs are told it: problem details, as RFC 9457 has them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

TYPE = "application/problem+json"


class Problem(BaseModel):
    """Why something was not done."""

    type: str = Field(description="Always about:blank: the status says what kind of problem it is.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The status of the answer.")
    detail: str = Field(description="What is wrong and what to do, in one line.")


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    """Make the answer; `more` are members beside those of Problem."""
    title = HTTPStatus(status).phrase
    told = Problem(type="about:blank", title=title, status=status, detail=" ".join(detail.split()))
    return JSONResponse(told.model_dump() | more, status, dict(headers or {}), TYPE)
