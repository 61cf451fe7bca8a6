"""The tests that the normal run samples: the whole of each matrix runs in `nox -s stress`."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Final
from zlib import crc32

LEFT_OUT: Final = 0
ONE_CLIENT: Final = -1

SAMPLED: Final[Mapping[str, int]] = {
    # Programs that take seconds.
    "tests/cli/test_processes.py::test_a_broken_pipe_is_no_error": 2,
    "tests/cli/test_processes.py::test_a_missing_extra_is_named": 2,
    "tests/examples/test_testing.py::test_the_suite_runs": 2,
    "tests/cassettes/test_qoder_recording.py::test_the_command_refuses_an_emulator_and_stores_nothing": LEFT_OUT,
    "tests/cli/test_processes.py::test_colours_are_for_terminals_without_no_color": LEFT_OUT,
    "tests/docs/test_evidence.py::test_evidence_is_collected_from_every_process": LEFT_OUT,
    "tests/examples/test_plugins.py::test_they_are_found_by_name_and_take_part_in_the_demo": LEFT_OUT,
    "tests/examples/test_plugins.py::test_they_keep_the_contract": LEFT_OUT,
    "tests/live/test_adk_contract.py": ONE_CLIENT,
    "tests/cassettes/test_everruns_tapes.py::test_the_cuts_of_a_stream_do_not_matter": 5,
    "tests/cassettes": ONE_CLIENT,
    "tests/contract/test_providers.py::TestQoderOverHttpx2": 7,
    "tests/contract/test_providers.py::TestQoderOverHttpx": 7,
    "tests/contract/test_providers.py::TestQoderSeed": 7,
    "tests/contract/test_providers.py::TestEverrunsOverAiohttp": 7,
    "tests/contract/test_providers.py::TestEverrunsSeed": 7,
    "tests/contract/test_providers.py::TestAgentScopeSeed": 7,
    # Each cut of these takes all looks at a session that its server does not complete.
    "tests/contract/test_providers.py::TestAdkSeed::test_a_turn_that_is_cut_is_whole_or_no_success": LEFT_OUT,
    "tests/contract/test_providers.py::TestAdkSeed::test_events_since_a_turn_was_left_are_delivered": LEFT_OUT,
    "tests/contract/test_providers.py::TestAdkSeed": 7,
    # Each of these has many cases.
    "tests/contract/test_providers.py::*::test_a_creation_at_a_broken_server_states_whether_it_may_be_done": 5,
    "tests/contract/test_providers.py::*::test_a_read_from_a_broken_server_names_what_came": 5,
    "tests/contract/test_providers.py::*::test_a_redirect_to_another_host_reaches_nobody": 5,
    "tests/contract/test_providers.py::*::test_a_turn_that_is_cut_is_whole_or_no_success": 5,
    "tests/contract/test_providers.py::*::test_a_turn_that_meets_a_fault_is_whole_or_no_success": 5,
    "tests/contract/test_providers.py::*::test_two_turns_of_two_clients_are_distinguished": 5,
    "tests/contract/test_providers.py::*::test_what_is_declared_is_what_happens": 3,
    # Each test of the contract suite runs with one of the two clients on the current generation of each backend.
    "tests/contract/test_providers.py": ONE_CLIENT,
    "tests/contract/test_cuts.py::test_a_cut_anywhere_loses_and_doubles_nothing": 5,
    "tests/contract/test_cuts.py::test_a_cut_of_a_turn_that_ends_with_its_stream_is_never_half_a_success": 7,
    "tests/contract/test_cuts.py::test_a_cut_in_any_turn_of_a_story_loses_and_doubles_nothing": 5,
    "tests/contract/test_cuts.py::test_a_stream_from_a_stored_cursor_may_be_cut_as_well": 3,
    "tests/contract": ONE_CLIENT,
    # Real waits, and many.
    "tests/core/test_stream_deadlines.py::test_a_deadline_ends_the_wait_in_time": 3,
    "tests/core/test_stream_rules.py::test_both_clients_raise_the_same_at_a_deadline": 3,
    "tests/core/test_bounds.py": ONE_CLIENT,
    "tests/core/test_driver_retries.py": ONE_CLIENT,
    "tests/core/test_stream_deadlines.py": ONE_CLIENT,
    "tests/core/test_stream_drivers.py": ONE_CLIENT,
    "tests/core/test_stream_kinds.py": ONE_CLIENT,
    "tests/core/test_stream_reopening.py": ONE_CLIENT,
    "tests/core/test_stream_rules.py": ONE_CLIENT,
    "tests/providers/agentscope/test_turns_on_emulator.py::test_a_break_during_a_turn_repeats_nothing": 3,
    "tests/providers/agentscope/test_turns_on_emulator.py::test_each_of_many_clients_gets_its_own_turn": 3,
    "tests/providers/agentscope/test_turns_on_emulator.py::test_each_of_many_parallel_clients_gets_its_own_turn": 3,
    "tests/providers/everruns/test_stored_actions.py::test_a_stored_action_is_answered_by_another_process": 2,
    "tests/providers/qoder/test_turns_on_emulator.py::test_stored_actions_are_answered_by_another_process": 2,
    "tests/providers": ONE_CLIENT,
    "tests/stress/test_call_faults.py::test_a_fault_that_takes_time_comes_to_what_is_written_down": LEFT_OUT,
    "tests/stress/test_call_faults.py::test_a_fault_of_a_call_comes_to_what_is_written_down": 15,
    "tests/stress/test_command_secrets.py::test_a_secret_in_the_wrong_place_of_the_file_is_not_quoted": 4,
    "tests/stress/test_command_secrets.py::test_a_secret_that_cannot_be_used_is_not_quoted": 4,
    "tests/stress/test_hostile.py": 3,
    "tests/stress/test_hostile_logs.py": 11,
    "tests/stress/test_secrets.py::test_a_secret_in_the_wrong_place_is_not_quoted": 3,
    "tests/stress/test_secrets.py": 5,
    "tests/stress/test_stories.py": ONE_CLIENT,
    "tests/stress/test_costs.py::test_what_is_not_needed_is_not_imported": 3,
    "tests/stress/test_interrupt.py": 3,
    "tests/stress/test_stream_borders.py": 4,
    "tests/stress/test_stream_faults.py::test_a_fault_of_a_stream_comes_to_what_is_written_down": 8,
    "tests/stress/test_stream_faults.py::test_a_fault_of_a_reopened_stream_comes_to_what_is_written_down": 4,
    "tests/testing/test_tapes.py": ONE_CLIENT,
}
"""Of these tests, classes, files and folders the normal run takes one item in so many, beginning with the first.

An odd number alternates between the sync and the async client, which are neighbours. `ONE_CLIENT` takes each case with
one client, and another one from case to case, wherever the case is there with both. A `*` stands for any class. The
first entry that fits counts.
"""


def left_out(ids: Iterable[str]) -> set[str]:
    """Return the ids of the items that the normal run leaves out."""
    collected = dict.fromkeys(ids)
    seen: dict[str, int] = {}
    found = set()
    for node_id in collected:
        group = next((name for name, fits in _GROUPS.items() if fits(node_id)), None)
        if group is None:
            continue
        number = seen[group] = seen.get(group, -1) + 1
        every = SAMPLED[group]
        if _is_left_out(node_id, number, every, collected):
            found.add(node_id)
    return found


def _pattern(group: str) -> Callable[[str], object]:
    return re.compile(re.escape(group).replace(r"\*", "[^:]+") + r"(?![^\[:/])").match


_GROUPS: Final = {group: _pattern(group) for group in SAMPLED}
_CLIENT: Final = re.compile(r"(?<=[\[-])(?:sync|async)(?=[-\]])")
_OTHER: Final = {"sync": "async", "async": "sync"}


def _is_left_out(node_id: str, number: int, every: int, collected: Container[str]) -> bool:
    if every != ONE_CLIENT:
        return every == LEFT_OUT or number % every != 0
    client = _CLIENT.search(node_id)
    if client is None:
        return False
    before, after = node_id[: client.start()], node_id[client.end() :]
    other, chosen = _OTHER[client[0]], ("sync", "async")[crc32((before + after).encode()) % 2]
    return client[0] != chosen and before + other + after in collected
