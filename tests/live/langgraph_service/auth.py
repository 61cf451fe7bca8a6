"""Custom authentication: a key identifies its owner, and each owner has separate threads.

The interpreter of the server's virtual environment runs this file.
"""

from typing import Any

from langgraph_sdk import Auth

auth = Auth()


@auth.authenticate
async def authenticate(headers: dict[bytes, bytes]) -> Auth.types.MinimalUserDict:
    """Return the owner of the key."""
    key = headers.get(b"x-api-key", b"").decode()
    if not key:
        raise Auth.exceptions.HTTPException(status_code=401, detail="no key")
    if not key.startswith("key-of-"):
        raise Auth.exceptions.HTTPException(status_code=403, detail="bad key")
    return {"identity": key}


@auth.on.threads
async def own_threads(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> dict[str, str]:
    """Add the owner to new threads, and hide the threads of other owners."""
    owner = {"owner": ctx.user.identity}
    value.setdefault("metadata", {}).update(owner)
    return owner
