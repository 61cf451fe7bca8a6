"""The tests that the normal run samples: the whole of each matrix runs in `nox -s stress`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from zlib import crc32

LEFT_OUT: Final = 0
ONE_CLIENT: Final = -1

SAMPLED: Final[Mapping[str, int]] = {
    "tests/live/test_adk_contract.py": ONE_CLIENT,
    "tests/cassettes/test_adk_contract.py": ONE_CLIENT,
    "tests/cassettes/test_agentscope_contract.py": ONE_CLIENT,
    "tests/contract/test_providers.py::TestQoderOverHttpx2": 5,
    "tests/contract/test_providers.py::TestQoderOverHttpx": 5,
    "tests/contract/test_providers.py::TestQoderSeed": 5,
    "tests/contract/test_providers.py::TestEverrunsOverAiohttp": 5,
    "tests/contract/test_providers.py::TestEverrunsSeed": 5,
    "tests/contract/test_providers.py::TestAgentScopeSeed": 5,
    # Each cut of these takes all looks at a session that its server does not complete.
    "tests/contract/test_providers.py::TestAdkSeed::test_a_turn_that_is_cut_is_whole_or_no_success": LEFT_OUT,
    "tests/contract/test_providers.py::TestAdkSeed::test_what_happened_since_a_turn_was_left_is_told": LEFT_OUT,
    "tests/contract/test_providers.py::TestAdkSeed": 5,
    # Each test of the contract suite runs with one of the two clients on the current generation of each backend.
    "tests/contract/test_providers.py": ONE_CLIENT,
    "tests/contract/test_cuts.py::test_a_cut_anywhere_loses_and_doubles_nothing": 3,
    "tests/contract/test_cuts.py::test_a_cut_of_a_turn_that_ends_with_its_stream_is_never_half_a_success": 5,
    "tests/contract/test_cuts.py::test_a_cut_in_any_turn_of_a_story_loses_and_doubles_nothing": 3,
    "tests/core/test_stream_deadlines.py::test_a_deadline_ends_the_wait_in_time": 3,
    "tests/core/test_stream_rules.py::test_both_clients_raise_the_same_at_a_deadline": 3,
    "tests/providers/agentscope/test_turns_on_emulator.py::test_a_break_while_the_turn_goes_on_doubles_nothing": 3,
    "tests/providers/agentscope/test_turns_on_emulator.py::test_turns_of_many_clients_are_each_their_own": 3,
    "tests/providers/agentscope/test_turns_on_emulator.py::test_turns_of_many_clients_at_once_are_each_their_own": 3,
    "tests/stress/test_call_faults.py::test_a_fault_that_takes_time_comes_to_what_is_written_down": LEFT_OUT,
    "tests/stress/test_call_faults.py::test_a_fault_of_a_call_comes_to_what_is_written_down": 7,
    "tests/stress/test_command_secrets.py::test_a_secret_in_the_wrong_place_of_the_file_is_not_quoted": 4,
    "tests/stress/test_command_secrets.py::test_a_secret_that_cannot_be_used_is_not_quoted": 4,
    "tests/stress/test_hostile.py": 3,
    "tests/stress/test_hostile_logs.py": 5,
    "tests/stress/test_secrets.py": 5,
    "tests/stress/test_costs.py::test_what_is_not_needed_is_not_imported": 3,
    "tests/stress/test_interrupt.py": 3,
    "tests/stress/test_stream_borders.py": 4,
    "tests/stress/test_stream_faults.py::test_a_fault_of_a_stream_comes_to_what_is_written_down": 4,
    "tests/stress/test_stream_faults.py::test_a_fault_of_a_reopened_stream_comes_to_what_is_written_down": 4,
    "tests/cassettes/test_everruns_tapes.py::test_the_cuts_of_a_stream_do_not_matter": 5,
    # Programs that take seconds.
    "tests/cassettes/test_qoder_recording.py::test_the_command_refuses_an_emulator_and_stores_nothing": LEFT_OUT,
    "tests/cli/test_processes.py::test_colours_are_for_terminals_without_no_color": LEFT_OUT,
    "tests/docs/test_evidence.py::test_evidence_is_collected_from_every_process": LEFT_OUT,
    "tests/examples/test_plugins.py::test_they_are_found_by_name_and_take_part_in_the_demo": LEFT_OUT,
    "tests/examples/test_plugins.py::test_they_keep_the_contract": LEFT_OUT,
}
"""Of these tests, classes and files the normal run takes one item in so many, beginning with the first.

An odd number alternates between the sync and the async client, which are neighbours. `ONE_CLIENT` takes each test with
one client, and another one from test to test and from class to class. The first entry that fits counts.
"""


def left_out(ids: Iterable[str]) -> set[str]:
    """Return the ids of the items that the normal run leaves out."""
    seen: dict[str, int] = {}
    found = set()
    for node_id in ids:
        group = next((name for name in SAMPLED if _is_of(node_id, name)), None)
        if group is None:
            continue
        number = seen[group] = seen.get(group, -1) + 1
        if _is_left_out(node_id, SAMPLED[group], number):
            found.add(node_id)
    return found


def _is_left_out(node_id: str, every: int, number: int) -> bool:
    if every == ONE_CLIENT:
        test, _, parameters = node_id.partition("[")
        other = "async" if crc32(test.encode()) % 2 else "sync"
        return other in parameters.rstrip("]").split("-")
    return every == LEFT_OUT or number % every != 0


def _is_of(node_id: str, group: str) -> bool:
    return node_id.startswith(group) and node_id[len(group) : len(group) + 1] in {"", "[", ":"}
