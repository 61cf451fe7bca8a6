"""Anthropic's Managed Agents: settings, declared support, calls and flows.

Backend: https://platform.claude.com/docs/en/managed-agents/overview (read 2026-11-30)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal

from polysession.provider_api import (
    BaseUrl,
    ErrorDetail,
    Feature,
    FeatureSupport,
    FromEnv,
    HeaderSecret,
    HeaderText,
    ProviderSettings,
    Response,
    ResumeMode,
    WhenBusy,
    declared,
)
from polysession_anthropic import sessions
from polysession_anthropic.sessions import ANTHROPIC
from polysession_managed_agents.provider import ManagedAgentsProvider

_BETA: Final = "managed-agents-2026-04-01"

_FEATURES: Final[Mapping[Feature, FeatureSupport]] = declared(
    native={Feature.SESSIONS_GET: "", Feature.SESSIONS_LIST: ""}, otherwise="not offered yet"
)


class AnthropicSettings(ProviderSettings):
    """Settings of a client for Anthropic's Managed Agents.

    Attributes:
        api_key: API key (`sk-ant-api...`), or a short-lived token.
        base_url: Where the API is, without `/v1`; Anthropic's own cloud unless given.
        workspace_id: Workspace to act in (`wrkspc_...`); None leaves it to the key.
        version: Version of the API. With `2026-10-21` the key goes as a bearer token, with `2023-06-01` as `x-api-key`.
        betas: Further betas, separated by commas.
    """

    api_key: Annotated[HeaderSecret, FromEnv("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")]
    base_url: Annotated[BaseUrl, FromEnv("ANTHROPIC_BASE_URL")] = "https://api.anthropic.com"
    workspace_id: HeaderText | None = None
    version: Literal["2026-10-21", "2023-06-01"] = "2026-10-21"
    betas: HeaderText | None = None


class AnthropicProvider(ManagedAgentsProvider[AnthropicSettings]):
    """Anthropic's Managed Agents, hosted or self-hosted."""

    name = ANTHROPIC.name
    docs_url = "https://platform.claude.com/docs/en/managed-agents/overview"
    settings_type = AnthropicSettings
    features: ClassVar[Mapping[Feature, FeatureSupport]] = _FEATURES
    when_busy = WhenBusy.QUEUED
    resume_mode = ResumeMode.LIST_AND_DEDUPE
    emulator = "polysession_anthropic.emulator:AnthropicEmulator"

    member = ANTHROPIC
    records = sessions.RECORDS

    def headers(self) -> Mapping[str, str]:
        """The key, the version and the betas, and the workspace if one is set.

        Backend: https://platform.claude.com/docs/en/api/versioning and
        https://platform.claude.com/docs/en/manage-claude/authentication (read 2026-11-30)
        """
        settings = self.settings
        key = settings.api_key.get_secret_value()
        identity = {"x-api-key": key} if settings.version == "2023-06-01" else {"authorization": f"Bearer {key}"}
        betas = _BETA if settings.betas is None else f"{_BETA},{settings.betas}"
        headers = {**identity, "anthropic-version": settings.version, "anthropic-beta": betas}
        if settings.workspace_id is not None:
            headers["anthropic-workspace-id"] = settings.workspace_id
        return headers

    def read_error(self, reply: Response) -> ErrorDetail:
        """Read an error body."""
        return sessions.to_error(reply)
