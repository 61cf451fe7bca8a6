"""The feature of each field that a caller may write, clear or filter by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from polysession.feature import Feature

CREATE_FIELDS: Final[Mapping[str, Feature]] = {
    "agent": Feature.SESSIONS_CREATE_AGENT,
    "environment": Feature.SESSIONS_CREATE_ENVIRONMENT,
    "workspace": Feature.SESSIONS_CREATE_WORKSPACE,
    "title": Feature.SESSIONS_CREATE_TITLE,
    "metadata": Feature.SESSIONS_CREATE_METADATA,
    "tags": Feature.SESSIONS_CREATE_TAGS,
    "capabilities": Feature.SESSIONS_CREATE_CAPABILITIES,
    "model": Feature.SESSIONS_CREATE_MODEL,
    "permission_mode": Feature.SESSIONS_CREATE_PERMISSION_MODE,
    "id": Feature.SESSIONS_CREATE_ID,
    "owner": Feature.SESSIONS_CREATE_OWNER,
    "idempotency_key": Feature.SESSIONS_CREATE_IDEMPOTENCY_KEY,
}
UPDATE_FIELDS: Final[Mapping[str, Feature]] = {
    "title": Feature.SESSIONS_UPDATE_TITLE,
    "metadata": Feature.SESSIONS_UPDATE_METADATA,
    "tags": Feature.SESSIONS_UPDATE_TAGS,
    "add_tags": Feature.SESSIONS_UPDATE_TAGS_EDIT,
    "remove_tags": Feature.SESSIONS_UPDATE_TAGS_EDIT,
    "model": Feature.SESSIONS_UPDATE_MODEL,
    "permission_mode": Feature.SESSIONS_UPDATE_PERMISSION_MODE,
}
CLEAR_FIELDS: Final[Mapping[str, Feature]] = {
    "title": Feature.SESSIONS_UPDATE_TITLE_CLEAR,
    "metadata": Feature.SESSIONS_UPDATE_METADATA_CLEAR,
    "tags": Feature.SESSIONS_UPDATE_TAGS_CLEAR,
    "model": Feature.SESSIONS_UPDATE_MODEL_CLEAR,
    "permission_mode": Feature.SESSIONS_UPDATE_PERMISSION_MODE_CLEAR,
}
LIST_FIELDS: Final[Mapping[str, Feature]] = {
    "owner": Feature.SESSIONS_LIST_OWNER,
    "origin": Feature.SESSIONS_LIST_ORIGIN,
    "agent": Feature.SESSIONS_LIST_AGENT,
    "statuses": Feature.SESSIONS_LIST_STATUSES,
    "title_contains": Feature.SESSIONS_LIST_TITLE_CONTAINS,
    "tags": Feature.SESSIONS_LIST_TAGS,
    "metadata": Feature.SESSIONS_LIST_METADATA,
    "created_after": Feature.SESSIONS_LIST_CREATED,
    "created_before": Feature.SESSIONS_LIST_CREATED,
    "include_archived": Feature.SESSIONS_LIST_INCLUDE_ARCHIVED,
    "oldest_first": Feature.SESSIONS_LIST_OLDEST_FIRST,
    "page_size": Feature.SESSIONS_LIST_PAGE_SIZE,
}
AGENT_FIELDS: Final[Mapping[str, Feature]] = {
    "model": Feature.AGENTS_CREATE_MODEL,
    "system_prompt": Feature.AGENTS_CREATE_SYSTEM_PROMPT,
    "description": Feature.AGENTS_CREATE_DESCRIPTION,
}
AGENT_UPDATE_FIELDS: Final[Mapping[str, Feature]] = {
    "name": Feature.AGENTS_UPDATE_NAME,
    "model": Feature.AGENTS_UPDATE_MODEL,
    "system_prompt": Feature.AGENTS_UPDATE_SYSTEM_PROMPT,
    "description": Feature.AGENTS_UPDATE_DESCRIPTION,
}
AGENT_CLEAR_FIELDS: Final[Mapping[str, Feature]] = {
    "system_prompt": Feature.AGENTS_UPDATE_SYSTEM_PROMPT_CLEAR,
    "description": Feature.AGENTS_UPDATE_DESCRIPTION_CLEAR,
}
ENVIRONMENT_FIELDS: Final[Mapping[str, Feature]] = {
    "description": Feature.ENVIRONMENTS_CREATE_DESCRIPTION,
    "metadata": Feature.ENVIRONMENTS_CREATE_METADATA,
}
