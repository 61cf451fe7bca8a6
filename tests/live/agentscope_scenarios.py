"""Requests to which the AgentScope service and its emulator must respond alike."""

from typing import Any, Final

from live.parity import Ask, Scenario

_SESSION: Final = "/sessions/<session>?agent_id=<agent>"
_STATUS: Final = "/sessions/<session>/status?agent_id=<agent>"
_INTERRUPT: Final = "/sessions/<session>/interrupt?agent_id=<agent>"
_SESSIONS: Final = "/sessions/?agent_id=<agent>"
_MODEL: Final = {"type": "any", "credential_id": "<credential>", "model": "m", "parameters": {"temperature": 0.5}}
_ANOTHER_MODEL: Final = _MODEL | {"model": "other", "parameters": {}}
_LOST_MODEL: Final = _MODEL | {"credential_id": "lost"}
_CREDENTIAL: Final = {"type": "openai_credential", "name": "n", "api_key": "k", "base_url": "http://models.test/v1"}
_OTHER: Final = "<other user>"


def _get(path: str, **parts: Any) -> Ask:
    return Ask("GET", path, **parts)


def _post(path: str, body: Any = None, **parts: Any) -> Ask:
    return Ask("POST", path, body, **parts)


def _patch(path: str, body: Any = None, **parts: Any) -> Ask:
    return Ask("PATCH", path, body, **parts)


def _delete(path: str, **parts: Any) -> Ask:
    return Ask("DELETE", path, **parts)


def _session_patches() -> tuple[Scenario, ...]:
    """Return requests for every effect of PATCH, each followed by a read of the stored session."""
    rows: dict[str, tuple[Any, ...]] = {
        "nothing": ({},),
        "name": ({"name": "x"},),
        "empty name": ({"name": ""},),
        "name null, nothing written": ({"name": None, "chat_model_config": _MODEL, "permission_mode": "bypass"},),
        "name of a wrong type": ({"name": 5},),
        "model replaced whole": ({"chat_model_config": _MODEL}, {"chat_model_config": _ANOTHER_MODEL}),
        "model with unknown keys": ({"chat_model_config": _MODEL | {"extra": 1}},),
        "model incomplete": ({"chat_model_config": {"model": "m"}},),
        "model of wrong types": ({"chat_model_config": 5}, {"chat_model_config": _MODEL | {"parameters": None}}),
        "model null clears": ({"chat_model_config": _MODEL}, {"chat_model_config": None}),
        "model with a lost credential": ({"chat_model_config": _LOST_MODEL},),
        "every other model": (
            {f"{kind}_model_config": _MODEL for kind in ("fallback_chat", "tts", "realtime")},
            {f"{kind}_model_config": None for kind in ("fallback_chat", "tts", "realtime")},
        ),
        "every other model with a lost credential": tuple(
            {f"{kind}_model_config": _LOST_MODEL} for kind in ("fallback_chat", "tts", "realtime")
        ),
        "knowledge": ({"knowledge_config": {}}, {"knowledge_config": None}),
        "knowledge lost": ({"knowledge_config": {"knowledge_base_ids": ["k", "l"]}},),
        "knowledge of wrong types": (
            {"knowledge_config": {"knowledge_base_ids": [3, "k", None], "parameters": []}},
            {"knowledge_config": {"knowledge_base_ids": {}, "parameters": None}},
        ),
        "every permission mode": tuple(
            {"permission_mode": mode} for mode in ("accept_edits", "explore", "bypass", "dont_ask", "default")
        ),
        "permission mode null keeps": ({"permission_mode": "bypass"}, {"permission_mode": None}),
        "permission mode unknown": ({"permission_mode": "nope"}, {"permission_mode": 3}),
        "directory": ({"cwd": "/a/../b"}, {"cwd": ""}, {"cwd": None}, {"cwd": 4}),
        "unknown keys": ({"workspace_id": "x", "id": "y", "origin": {}, "state": {}, "zzz": 1},),
        "many problems": ({"name": 1, "permission_mode": "nope", "chat_model_config": {}, "cwd": []},),
        "not an object": ([], "text", 5),
    }
    return tuple(
        Scenario(f"patch: {name}", (*(_patch(_SESSION, body) for body in bodies), _get(_SESSIONS)))
        for name, bodies in rows.items()
    )


_SESSION_SCENARIOS: Final = (
    Scenario(
        "session: create, list and delete",
        (
            _post("/sessions/", {"agent_id": "<agent>", "name": "second"}),
            _post("/sessions/", {"agent_id": "<agent>"}),
            _post("/sessions/", {"agent_id": "<agent>", "name": ""}),
            _get(_SESSIONS),
            _patch(_SESSION, {"name": "changed, and yet the oldest"}),
            _get(_SESSIONS),
            _delete(_SESSION),
            _delete(_SESSION),
            _get(_SESSIONS),
        ),
    ),
    Scenario(
        "session: workspaces",
        (
            _post("/sessions/", {"agent_id": "<agent>", "workspace_id": "chosen"}),
            _post("/sessions/", {"agent_id": "<agent>", "workspace_id": ""}),
            _get(_SESSIONS),
            _delete(_SESSION),
            _post("/sessions/", {"agent_id": "<agent>", "workspace_id": None}),
            _get(_SESSIONS),
        ),
    ),
    Scenario(
        "session: create with everything",
        (
            _post(
                "/sessions/",
                {
                    "agent_id": "<agent>",
                    "chat_model_config": _MODEL,
                    "fallback_chat_model_config": _ANOTHER_MODEL,
                    "tts_model_config": _MODEL,
                    "realtime_model_config": _MODEL,
                    "knowledge_config": {"parameters": {"top": 3}},
                    "permission_mode": "bypass",
                    "cwd": "/not-taken",
                },
            ),
            _get(_SESSIONS),
        ),
    ),
    Scenario(
        "session: create refused",
        (
            _post("/sessions/", {}),
            _post("/sessions/", {"agent_id": None, "name": 3, "workspace_id": 4, "chat_model_config": {}}),
            _post("/sessions/", {"agent_id": "lost", "chat_model_config": _LOST_MODEL}),
            _post("/sessions/", {"agent_id": "<agent>", "tts_model_config": _LOST_MODEL}),
            _post("/sessions/", {"agent_id": "<agent>", "knowledge_config": {"knowledge_base_ids": ["k"]}}),
            _post("/sessions/", {"agent_id": "<agent>"}, user=_OTHER),
            _get(_SESSIONS),
        ),
    ),
    Scenario(
        "session: the agent in the query",
        (
            _get("/sessions/"),
            _get("/sessions/?agent_id="),
            _get("/sessions/?agent_id=lost"),
            _patch("/sessions/<session>", {"name": 3}),
            _patch("/sessions/<session>?agent_id=lost", {"name": "anyway"}),
            _get("/sessions/<session>/status"),
            _get("/sessions/<session>/status?agent_id=lost"),
            _post("/sessions/<session>/interrupt"),
            _delete("/sessions/<session>"),
            _delete("/sessions/<session>?agent_id=lost"),
        ),
    ),
    Scenario(
        "session: another user's, or none",
        (
            _get(_SESSIONS, user=_OTHER),
            _patch(_SESSION, {"name": None}, user=_OTHER),
            _get(_STATUS, user=_OTHER),
            _post(_INTERRUPT, user=_OTHER),
            _delete(_SESSION, user=_OTHER),
            _patch("/sessions/lost?agent_id=<agent>", {"name": None, "chat_model_config": _LOST_MODEL}),
            _patch("/sessions/lost?agent_id=<agent>", {"name": 3}),
            _get("/sessions/it's lost/status?agent_id=<agent>"),
            _post("/sessions/lost/interrupt?agent_id=<agent>"),
            _delete("/sessions/lost?agent_id=<agent>"),
            _get(_SESSIONS),
        ),
    ),
    Scenario("session: status when idle", (_get(_STATUS),)),
    Scenario("session: interrupt when idle", (_post(_INTERRUPT), _get(_STATUS, until="idle"))),
)

_RUNNING_SCENARIOS: Final = tuple(
    Scenario(f"running: {name}", asks, running=True)
    for name, asks in {
        "status": (_get(_STATUS), _get(_STATUS, user=_OTHER)),
        "list": (_get(_SESSIONS),),
        "patch conflicts": (_patch(_SESSION, {}), _patch(_SESSION, {"name": None})),
        "patch is checked first": (
            _patch(_SESSION, {"name": 3}),
            _patch(_SESSION, {"name": "x"}, user=_OTHER),
            _patch("/sessions/lost?agent_id=<agent>", {"name": "x"}),
            _patch(_SESSION, {"chat_model_config": _LOST_MODEL}),
        ),
        "interrupt": (_post(_INTERRUPT), _get(_STATUS, until="idle"), _post(_INTERRUPT, user=_OTHER)),
        "delete": (_delete(_SESSION), _get(_STATUS), _get(_SESSIONS)),
        "delete of the agent": (_delete("/agent/<agent>"), _get(_STATUS), _get(_SESSIONS)),
    }.items()
)

_AGENT_SCENARIOS: Final = (
    Scenario(
        "agent: create, list and delete",
        (
            _post("/agent/", {"name": "", "system_prompt": "Be brief.", "extra": 1}),
            _post("/agent/", {"name": "B", "chat_config": {"react_config": {"max_iters": "7", "stop_on_reject": 1}}}),
            _post("/agent/", {"name": "C", "react_config": {"max_iters": 4}, "chat_config": {"react_config": {}}}),
            _get("/agent/"),
            _get("/agent/", user=_OTHER),
            _delete("/agent/<agent>"),
            _delete("/agent/<agent>"),
            _get(_SESSIONS),
            _get(_STATUS),
            _get("/agent/"),
        ),
    ),
    Scenario(
        "agent: create refused",
        (
            _post("/agent/", {}),
            _post("/agent/", {"name": None, "system_prompt": None, "chat_config": None, "react_config": 5}),
            _post(
                "/agent/",
                {
                    "name": "A",
                    "chat_config": {
                        "react_config": {
                            "max_iters": 1.5,
                            "structured_output_grace_iters": 0,
                            "stop_on_reject": "maybe",
                            "interruption_message": 3,
                            "interruption_raise_cancelled_error": None,
                        },
                        "context_config": {
                            "trigger_ratio": 0.95,
                            "reserve_ratio": "x",
                            "context_buffer_ratio": -1,
                            "tool_result_limit": "x",
                            "max_image_num": None,
                            "summary_schema": [],
                        },
                        "invite_config": [],
                    },
                },
            ),
            _post("/agent/", {"name": "A", "chat_config": {"context_config": {"reserve_ratio": 0.9}}}),
            _post("/agent/", {"name": "A", "chat_config": {"invite_config": {"invitable": True}}}),
            _get("/agent/"),
        ),
    ),
    Scenario(
        "agent: patch",
        (
            _patch("/agent/<agent>", {}),
            _patch("/agent/<agent>", {"name": "N", "system_prompt": "S"}),
            _patch("/agent/<agent>", {"name": None, "system_prompt": None, "chat_config": None, "react_config": None}),
            _patch("/agent/<agent>", {"chat_config": {"react_config": {"stop_on_reject": "yes"}}}),
            _patch(
                "/agent/<agent>", {"chat_config": {"invite_config": {"invitable": True, "invite_description": "d"}}}
            ),
            _patch("/agent/<agent>", {"react_config": {"max_iters": 1}, "context_config": {"reserve_ratio": 0.3}}),
            _patch("/agent/<agent>", {"chat_config": {}, "source": "team"}),
            _get("/agent/"),
        ),
    ),
    Scenario(
        "agent: patch refused",
        (
            _patch("/agent/<agent>", {"name": 3, "chat_config": []}),
            _patch("/agent/<agent>", {"chat_config": {"react_config": None}}),
            _patch("/agent/lost", {"name": "x"}),
            _patch("/agent/lost", {"name": 3}),
            _patch("/agent/<agent>", {"name": "x"}, user=_OTHER),
            _delete("/agent/<agent>", user=_OTHER),
            _get("/agent/"),
        ),
    ),
)

_CREDENTIAL_SCENARIOS: Final = (
    Scenario(
        "credential: create, list and delete",
        (
            _post("/credential/", {"data": _CREDENTIAL | {"extra": 1, "organization": "o"}}),
            _post("/credential/", {"data": {"type": "openai_credential", "api_key": "k"}}),
            _post("/credential/", {"data": _CREDENTIAL | {"name": "", "base_url": None}}),
            _post("/credential/", {"data": _CREDENTIAL | {"id": ""}}),
            _get("/credential/"),
            _get("/credential/", user=_OTHER),
            _delete("/credential/<credential>"),
            _delete("/credential/<credential>"),
            _get("/credential/"),
            _get(_SESSIONS),
        ),
    ),
    Scenario(
        "credential: an id of one's choice",
        (
            _post("/credential/", {"data": _CREDENTIAL | {"id": "mine-<user>"}}),
            _post("/credential/", {"data": _CREDENTIAL | {"id": "mine-<user>", "name": "again"}}),
            _post("/credential/", {"data": _CREDENTIAL | {"id": "mine-<user>"}}, user=_OTHER),
            _get("/credential/"),
            _get("/credential/", user=_OTHER),
        ),
    ),
    Scenario(
        "credential: create refused",
        (
            _post("/credential/", {}),
            _post("/credential/", {"data": None}),
            *(
                _post("/credential/", {"data": data})
                for data in (
                    {},
                    {"type": "nope"},
                    {"type": "openai_credential"},
                    _CREDENTIAL | {"api_key": None},
                    _CREDENTIAL | {"name": 3},
                    _CREDENTIAL | {"id": 3},
                )
            ),
            _get("/credential/"),
        ),
    ),
    Scenario(
        "credential: patch",
        (
            _patch("/credential/<credential>", {"data": {"type": "openai_credential", "api_key": "new"}}),
            _patch("/credential/<credential>", {"data": _CREDENTIAL | {"id": "ignored"}}),
            _patch("/credential/<credential>", {"data": {"name": "x"}}),
            _patch("/credential/<credential>", {"data": _CREDENTIAL | {"id": 3}}),
            _patch("/credential/<credential>", {}),
            _patch("/credential/lost", {"data": {}}),
            _patch("/credential/lost", {}),
            _patch("/credential/<credential>", {"data": _CREDENTIAL}, user=_OTHER),
            _delete("/credential/<credential>", user=_OTHER),
            _get("/credential/"),
        ),
    ),
    Scenario("credential: schemas need no user", (_get("/credential/schemas", user=None),)),
)

_TRANSPORT_SCENARIOS: Final = (
    Scenario("health", (_get("/health"), _get("/health", user=None), _get("/health", user=""))),
    Scenario(
        "user: missing",
        (
            _get("/credential/", user=None),
            _post("/agent/", {}, user=None),
            _patch("/agent/<agent>", {"name": 3}, user=None),
            _get("/sessions/", user=None),
            _patch("/sessions/<session>", {"name": 3}, user=None),
            _delete(_SESSION, user=None),
            _get("/sessions/<session>/status", user=None),
        ),
    ),
    Scenario(
        "user: empty",
        (
            _get("/agent/", user=""),
            _get("/sessions/", user=""),
            _patch(_SESSION, {"name": 3}, user=""),
            _patch(_SESSION, b"{", user=""),
        ),
    ),
    Scenario(
        "user: not ASCII",
        (
            _post("/agent/", {"name": "A"}, user="ünique"),
            _get("/agent/", user="ünique"),
        ),
    ),
    Scenario(
        "body: not JSON",
        (
            *(_patch(_SESSION, body) for body in (b"{", b'{"a":', b"nope", b'{"a":1}x', b"{'a':1}", b"null", b"\xff")),
            _patch(_SESSION, b'{"name":"\xff"}'),
            _patch(_SESSION),
            _post("/sessions/"),
            _post("/agent/", b""),
        ),
    ),
    Scenario(
        "body: content types",
        tuple(
            _patch(_SESSION, b'{"name":"typed"}', content_type=content_type)
            for content_type in (
                None,
                "text/plain",
                "application/merge-patch+json",
                "application/json; charset=utf-8",
                "APPLICATION/JSON",
                "text/json",
            )
        ),
    ),
    Scenario("body: not expected", (_post(_INTERRUPT, [1]), _get("/agent/", body={"name": 3}))),
    Scenario(
        "slashes: the wrong form",
        tuple(
            Ask(method, path)
            for method, path in (
                ("GET", "/health/"),
                ("GET", "/credential"),
                ("POST", "/credential"),
                ("PATCH", "/credential/x/"),
                ("GET", "/credential/schemas/"),
                ("GET", "/agent"),
                ("DELETE", "/agent/x/"),
                ("POST", "/sessions"),
                ("GET", "/sessions?agent_id=<agent>&x=%20y"),
                ("PATCH", "/sessions/<session>/?agent_id=<agent>"),
                ("GET", "/sessions/<session>/"),
                ("GET", "/sessions/<session>/status/?agent_id=<agent>"),
                ("POST", "/sessions/<session>/interrupt/"),
            )
        ),
    ),
    Scenario(
        "routes: methods that are not allowed",
        tuple(
            Ask(method, path)
            for method, path in (
                ("POST", "/health"),
                ("HEAD", "/health"),
                ("OPTIONS", "/credential/"),
                ("PUT", "/credential/"),
                ("GET", "/credential/x"),
                ("POST", "/credential/schemas"),
                ("DELETE", "/credential/schemas"),
                ("HEAD", "/agent/"),
                ("PUT", "/agent/x"),
                ("GET", "/agent/<agent>"),
                ("DELETE", "/sessions/"),
                ("GET", "/sessions/<session>"),
                ("HEAD", "/sessions/<session>"),
                ("OPTIONS", "/sessions/<session>"),
                ("POST", "/sessions/<session>"),
                ("POST", "/sessions/<session>/status"),
                ("GET", "/sessions/<session>/interrupt"),
            )
        ),
    ),
    Scenario(
        "routes: unknown",
        (_get("/"), _get("/nope"), _get("/sessions/x/nope"), _get("/sessions//"), _get("/sessions/a%2Fb/status")),
    ),
)

SCENARIOS: Final = (
    *_session_patches(),
    *_SESSION_SCENARIOS,
    *_RUNNING_SCENARIOS,
    *_AGENT_SCENARIOS,
    *_CREDENTIAL_SCENARIOS,
    *_TRANSPORT_SCENARIOS,
)
