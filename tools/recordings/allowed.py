"""Allowed content of a recording: names of headers and keys whose values are never secret.

In a recording, the text of every key that is not listed here is redacted. Add a key only if its text is needed and is
not secret in any account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CREDENTIAL_HEADERS: Final = frozenset({"authorization", "idempotency-key", "x-api-key"})
"""Request headers whose name is kept and whose value is redacted."""

REQUEST_HEADERS: Final = CREDENTIAL_HEADERS | {
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "anthropic-workspace-id",
    "content-type",
    "last-event-id",
    "qoder-workspace-id",
    "x-org-id",
    "x-qoder-beta",
    "x-user-id",
}

RESPONSE_HEADERS: Final = frozenset(
    {
        "allow",
        "cache-control",
        "content-type",
        "deprecation",
        "link",
        "request-id",
        "retry-after",
        "sunset",
        "x-pagination-next",
        "x-request-id",
    }
)

OPEN_KEYS: Final = frozenset({"interrupts", "metadata", "parameters", "requestedToolConfirmations"})
"""Keys of objects whose keys are ids or are chosen by the user. Texts in them are kept unless they look like a secret.
"""

_EVERYWHERE: Final = """
    code content created_at data description detail error id limit message model name role status text title type
    updated_at
"""

_ADK: Final = """
    __session_metadata__ a actions agentState agent_name app:k appName apps args artifactDelta author branch by
    confirmed custom customMetadata data detailed displayName endOfAgent enum error errorCode errorMessage
    error_details error_message error_type events fileData fileUri finishReason first functionCall functionResponse
    heard hint inlineData input invocationId k keep language language_version lastUpdateTime loc longRunningToolIds
    mimeType modelVersion msg new newMessage nodeInfo originalFunctionCall parts path payload people place
    polysession_turn priority query reason requestedAuthConfigs requestedToolConfirmations response response_schema
    result rootAgentName sessionId state stateDelta team temp:k thought ticket toolConfirmation topic
    transferToAgent usageMetadata user:k userId value version
"""

_AGENTSCOPE: Final = """
    Bash activated_groups after agent agent_id agents allow_rules ask_rules before behavior block_id blocked_by
    blocks chat_config chat_model_config config confirm_results context context_config credential_id credentials
    ctx cwd delta deny_rules editable event_cursor execution_results expected fallback_chat_model_config file_path
    finished_at finished_reason hint input invite_config knowledge_base_ids knowledge_config lines loc media_type
    messages middle_context mode model_name msg naming offset origin output owner permission_context
    permission_mode react_config read_file_cache realtime_model_config reason reply_context reply_id rule_content
    rules session session_id sessions source source_schedule_id state subject suggested_rules summary
    system_prompt tasks tasks_context team team_id thinking tool_call tool_call_id tool_call_name tool_calls
    tool_context tool_name total tts_model_config usage user_id value workspace_id
"""

_LANGGRAPH: Final = """
    action_name action_requests additional_kwargs after_seconds allowed_decisions args artifact as_node assistant_id
    attempt cache_read checkpoint checkpoint_id checkpoint_ns configurable context decision decisions delta detail
    edited_action event finish_reason graph_id graph_name hitl input input_token_details interrupt_id interrupts
    invalid_tool_calls kwargs langgraph_py_version langgraph_version lc_data lc_source limit messages method
    model_provider multitask_strategy namespace next offset options output output_token_details output_version params
    parent_checkpoint parent_checkpoint_id parents path payload polysession_agent polysession_title polysession_turn
    provider query question reasoning response response_metadata response_schema responses result review_configs role
    run_id select sort_by sort_order source state_updated_at stream_modes task_id tasks thread_id tool_call
    tool_call_id tool_call_name tool_calls tool_name trigger_call_id usage_metadata user_id value values
"""

_EVERRUNS: Final = """
    accumulated actor_id actor_name after_sequence agent_id agent_identity_id agent_name agent_version_id
    answered_by answers archived_at arguments asked_at before_sequence build_id capabilities capability_id
    capability_name category city code completed_headline completed_narration config context controls decision
    decisions default_model_id deleted_at delta direction display_name effective_owner effort error_code
    error_disclosure error_fields event_id exclude exec_id expected expires_at features final_answer_preview
    final_message_id fingerprint fingerprints finish_reasons finished_at forked_from_sequence forked_from_session_id
    harness_id harness_name header headline hint hints href image_id in_reply_to input input_content
    input_message_id instance item_id kind label links locale media_type message_id messages mode model_id narration
    next_url nudge_at operation options order_by organization_id other_text outcome output output_preview owner
    owner_principal_id parent_session_id parent_span_id path pending_approvals pending_questions phase phase_source
    policy prev_url preview progress provider question questions reason reason_code reasoning reasoning_effort
    records ref rel replacement resolved resolved_owner_user_id response_id result risk root_agent_id search
    selected self_url session_id session_status severity side_effect_class since_id span_id started_at state
    stop_reason stream subject_id summary system_prompt tags task_id termination_reason text_preview thinking tool
    tool_call tool_call_fingerprint tool_call_id tool_calls tool_name tool_result_fingerprint tool_results
    tool_summaries tools trace_id ts turn_id types ui_link unit url usage usage_kind view_url workspace_id zone
"""

_QODER: Final = """
    after_id agent agent_id agent_name agent_version archived_at before_id budget cache_creation checkout configs
    content_type custom_tool_use_id data default_config default_environment delta delta_flush_interval_ms
    deny_message deployment_id effective_context_window enabled_tools environment_id error evaluated_permission
    event event_deltas event_id event_ids events explanation file_id first_id from_agent_name from_session_thread_id
    include_archived input instructions is_error last_id max_credit_cost mcp_server_name mcp_servers mcp_tool_use_id
    media_type memory_store_id memory_store_ids model model_credits model_request_start_id mount_path next_page
    order original_filename outcome_evaluation_start_id outcome_evaluations outcome_id page param path
    permission_policy processed_at qoder_error_code request_id resources result retry_status sandbox_runtime_credits
    schema_version session_id session_thread_id skill_id skills source stats statuses stop_reason system thinking
    to_agent_name to_session_thread_id tool_use_id tools total_credits turn_id turn_status types usage vault_ids
    version
"""

_ANTHROPIC: Final = """
    access agent agent_id agent_name agents allowed_hosts amount apt archived_at budget cache_creation cargo checkout
    command completed_at config configs currency custom_tool_use_id data default_config deny_message deployment_id
    effort environment_id evaluated_permission evaluation event event_deltas event_id event_ids events
    execution_identity explanation file_id gem go include_archived inference_geo initial_events input list_cost
    max_list_cost mcp_server_name mcp_servers memory_store_id model_request_start_id mount_path multiagent networking
    next_page npm order outcome_evaluation_start_id outcome_evaluations outcome_id packages page parent_thread_id
    permission_policy pip predefined_agents prev_page processed_at request_id resources result retry_status scope
    session_id session_thread_id skill_id skills speed statuses stop_reason subagents system tool_use_id tools types url
    usage vault_ids version
"""

KEYS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset((_EVERYWHERE + keys).split())
    for name, keys in {
        "adk": _ADK,
        "agentscope": _AGENTSCOPE,
        "anthropic": _ANTHROPIC,
        "everruns": _EVERRUNS,
        "langgraph": _LANGGRAPH,
        "qoder": _QODER,
    }.items()
}
"""Keys of bodies and queries whose texts are kept, by backend."""
