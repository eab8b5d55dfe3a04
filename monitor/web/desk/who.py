"""Who may ask for a page of the desk, as arguments of its routes."""

from typing import Annotated

from fastapi import Depends

from db.desk import User
from monitor.web.auth import need

Viewer = Annotated[User, Depends(need("viewer"))]
Responder = Annotated[User, Depends(need("responder"))]
Approver = Annotated[User, Depends(need("approver"))]
