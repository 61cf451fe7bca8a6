"""Our providers keep the contract on their emulators: both generations of their backends, four HTTP clients."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import pytest
from httpx_aiohttp import HttpxAiohttpClient

from polysession import DeadlineExceeded, Feature, InvalidRequest, NotFound, UnsupportedOperation, UsageError
from polysession._drivers.environment import tls_context
from polysession.testing import (
    BackendContract,
    ErrorContract,
    Face,
    ProviderContract,
    never,
    not_offered_yet,
)
from polysession_langgraph import LanggraphNewAgent

NO_STATUS = not_offered_yet("2.0.0 has no status", raises=AssertionError)
LIVES_WITH_ITS_ANSWER = not_offered_yet(
    "a turn of 2.0.0 lives as long as its answer is read", raises=UnsupportedOperation
)
BREAK_ENDS_TURN = not_offered_yet("a break ends a turn of 2.0.0", raises=AssertionError)


class TestQoder(ProviderContract):
    provider = "qoder"


class TestQoderSeed(BackendContract):
    provider = "qoder"
    generation = "legacy"
    gaps = {
        "test_a_session_is_created_with_metadata": not_offered_yet(
            "the older answer to a creation has no metadata", raises=AssertionError
        ),
        Feature.SESSIONS_LIST_TITLE_CONTAINS: not_offered_yet("the search endpoint came later", raises=NotFound),
        Feature.SESSIONS_LIST_METADATA: not_offered_yet("the search endpoint came later", raises=NotFound),
        Feature.SESSIONS_LIST_STATUSES: not_offered_yet("the older statuses had other words", raises=InvalidRequest),
    }


class TestQoderOverHttpx2(BackendContract, ErrorContract):
    provider = "qoder"

    @classmethod
    def http_client(cls) -> Any:
        return httpx2.Client(trust_env=False, verify=tls_context())

    @classmethod
    def async_http_client(cls) -> Any:
        return httpx2.AsyncClient(trust_env=False, verify=tls_context())


class TestQoderOverHttpx(BackendContract, ErrorContract):
    """The async client without aiohttp; the other classes send with aiohttp."""

    provider = "qoder"

    @pytest.fixture(params=[Face.ASYNC], ids=str)
    def face(self, request: pytest.FixtureRequest) -> Face:
        face: Face = request.param
        return face

    @classmethod
    def async_http_client(cls) -> Any:
        return httpx.AsyncClient(trust_env=False, verify=tls_context())


class TestAnthropic(ProviderContract):
    provider = "anthropic"


_NO_ORIGIN = not_offered_yet("servers newer than the published description have origins", raises=AssertionError)


class TestEverruns(ProviderContract):
    provider = "everruns"
    new_agent = {"system_prompt": "You are under contract."}
    gaps = {Feature.SESSIONS_LIST_ORIGIN: _NO_ORIGIN}


class TestEverrunsOverAiohttp(BackendContract):
    """The library has no blocking side."""

    provider = "everruns"
    new_agent = {"system_prompt": "You are under contract."}
    gaps = {Feature.SESSIONS_LIST_ORIGIN: _NO_ORIGIN}

    @pytest.fixture(params=[Face.ASYNC], ids=str)
    def face(self, request: pytest.FixtureRequest) -> Face:
        face: Face = request.param
        return face

    @classmethod
    def async_http_client(cls) -> Any:
        return HttpxAiohttpClient(trust_env=False, verify=tls_context())


class TestEverrunsSeed(BackendContract):
    provider = "everruns"
    generation = "legacy"
    new_agent = {"system_prompt": "You are under contract."}
    gaps = {
        Feature.SESSIONS_CREATE_WORKSPACE: not_offered_yet("older sessions tell no workspace", raises=AssertionError),
        "test_a_tool_is_approved": not_offered_yet("older servers run tools without asking", raises=AssertionError),
        "test_a_denial_reaches_the_agent": not_offered_yet("older servers run tools without asking", raises=UsageError),
        "test_an_approval_that_was_stored_is_given_by_another_process": not_offered_yet(
            "older servers run tools without asking", raises=ValueError
        ),
        "test_a_run_continues_through_actions": not_offered_yet(
            "older servers run tools without asking", raises=AssertionError
        ),
        "test_a_group_of_actions_is_answered_together": not_offered_yet(
            "older servers run tools without asking", raises=AssertionError
        ),
        "test_a_question_is_answered": not_offered_yet("older servers ask no questions", raises=AssertionError),
        "test_a_question_that_was_stored_is_answered_by_another_process": not_offered_yet(
            "older servers ask no questions", raises=ValueError
        ),
        Feature.SESSIONS_LIST_ORIGIN: _NO_ORIGIN,
    }


class TestAgentScope(ProviderContract):
    provider = "agentscope"
    permission_mode = "accept_edits"


class TestAgentScopeSeed(BackendContract):
    """2.0.0 has no stream of a session: the answer to a message is the stream of its turn, and its end the turn's."""

    provider = "agentscope"
    generation = "legacy"
    permission_mode = "accept_edits"
    # Leaving a turn of 2.0.0 ends it, with or without a call that cancels.
    test_a_turn_that_is_left_is_cancelled_if_asked_for = None  # type: ignore[assignment]
    test_a_turn_that_has_ended_is_not_cancelled = None  # type: ignore[assignment]
    test_a_turn_that_is_left_continues_or_ends_as_declared = None  # type: ignore[assignment]
    gaps = {
        Feature.SESSIONS_STREAM: not_offered_yet("2.0.0 streams no session", raises=UnsupportedOperation),
        Feature.SESSIONS_CANCEL: not_offered_yet("2.0.0 cannot stop a turn", raises=UnsupportedOperation),
        Feature.SESSIONS_LIST_STATUSES: not_offered_yet("2.0.0 has no status", raises=UnsupportedOperation),
        Feature.SESSIONS_UPDATE_MODEL_CLEAR: not_offered_yet("2.0.0 keeps its model", raises=UnsupportedOperation),
        "test_an_answer_may_leave_the_turn_to_itself": LIVES_WITH_ITS_ANSWER,
        "test_a_write_that_a_page_answers_is_in_doubt": LIVES_WITH_ITS_ANSWER,
        "test_an_answer_that_a_page_answers_is_in_doubt": LIVES_WITH_ITS_ANSWER,
        "test_a_new_session_is_there_and_idle": NO_STATUS,
        "test_a_listed_session_says_what_a_read_one_says": NO_STATUS,
        "test_a_turn_that_is_cut_is_whole_or_no_success": BREAK_ENDS_TURN,
        "test_cuts_while_the_agent_speaks_double_no_word": BREAK_ENDS_TURN,
        "test_a_frame_that_comes_twice_counts_once": not_offered_yet(
            "events of 2.0.0 have no id to know them by", raises=AssertionError
        ),
    }


class TestAdk(ProviderContract):
    provider = "adk"
    has_status_word = False


class TestAdkSeed(BackendContract):
    provider = "adk"
    generation = "legacy"
    has_status_word = False
    patience_s = 15.0
    gaps = {
        "test_events_since_a_turn_was_left_are_delivered": not_offered_yet(
            "before 2.11.0 the end of a turn that was left is not stored", raises=DeadlineExceeded
        )
    }


class TestLanggraph(ProviderContract):
    provider = "langgraph"
    new_agent = {"native": LanggraphNewAgent(graph_id="agent")}
    gaps = {
        "test_a_session_for_an_agent_that_is_not_there_is_refused": never(
            "the server binds no agent to a thread before its first run", raises=pytest.fail.Exception
        ),
        "test_a_tool_of_the_caller_may_fail": never(
            "the output of a client tool is what the graph makes of it", raises=AssertionError
        ),
    }
