"""Authentication of its own, as a team adds it: a key names its owner, and each owner has threads of its own.

The interpreter of the virtual environment that holds the server runs this file.
"""

from typing import Any

from langgraph_sdk import Auth

auth = Auth()


@auth.authenticate
async def authenticate(headers: dict[bytes, bytes]) -> Auth.types.MinimalUserDict:
    """The owner whom the key names."""
    key = headers.get(b"x-api-key", b"").decode()
    if not key:
        raise Auth.exceptions.HTTPException(status_code=401, detail="no key")
    if not key.startswith("key-of-"):
        raise Auth.exceptions.HTTPException(status_code=403, detail="bad key")
    return {"identity": key}


@auth.on.threads
async def own_threads(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> dict[str, str]:
    """Write the owner into new threads, and find no others."""
    owner = {"owner": ctx.user.identity}
    value.setdefault("metadata", {}).update(owner)
    return owner
