"""A thousand turns as Ray tasks, each exactly once: `python examples/at_scale/run.py --workers 4`.

Ray starts the worker processes, and starts a task again whose process died. The cursors are in a database outside the
workers, so that the new process rejoins the turn of the dead one. Half-way, this program kills a worker in mid-turn. At
the end it counts the messages at the server.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import ray
from jobs import Place, Store, do_job, has_message, prepare, tools_of

from polysession import Client
from polysession.emulation import serve


def main() -> None:
    """Run the jobs, kill a worker half-way, and count at the server."""
    parser = argparse.ArgumentParser(description="A thousand turns as Ray tasks.")
    parser.add_argument("--provider", default="everruns")
    parser.add_argument("--turns", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    with serve(given.provider) as emulator, tempfile.TemporaryDirectory() as folder:
        place = Place(
            provider=given.provider,
            settings=tuple(emulator.settings.items()),
            agent=emulator.agent_id,
            environment=emulator.environment_id,
            database=Path(folder) / "jobs.sqlite",
        )
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(num_cpus=given.workers, include_dashboard=False, log_to_driver=False, logging_level="error")
        job_task = ray.remote(max_retries=5)(do_job)
        ray.get([ray.remote(prepare).remote(place) for _ in range(given.workers)])  # the processes have started
        started_s = time.monotonic()
        long_one = given.turns // 2
        tasks = [
            job_task.remote(job, "/slow 20" if job == long_one else f"job {job}", place) for job in range(given.turns)
        ]
        killed = kill_worker_of(long_one, place)
        answers = ray.get(tasks)
        elapsed_s = time.monotonic() - started_s
        ray.shutdown()
        rejoined = Store(place.database).count_rejoined()
        with Client(given.provider, **emulator.settings) as client:
            counted = count_messages(client)
    once = sum(count == 1 for count in counted.values())
    rate = len(answers) / elapsed_s
    print(f"{given.workers} workers: {len(answers)} turns in {elapsed_s:.1f} s, {rate:.0f} a second")
    print(f"worker {killed} was killed in mid-turn; {rejoined} turns were rejoined")
    print(f"at the server: {once} messages once, {len(counted) - once} more than once")
    if (once, len(counted), rejoined) != (given.turns, given.turns, 1):
        sys.exit("a turn was lost, doubled, or not rejoined")


def kill_worker_of(job: int, place: Place) -> int:
    """Kill the worker that does a job, as soon as its message has arrived."""
    client, store = tools_of(place)
    while (worker := store.worker_of(job)) is None or not has_message(client, store.read(job)[0] or ""):
        time.sleep(0.01)
    os.kill(worker, signal.SIGKILL)
    return worker


def count_messages(client: Client) -> Counter[str]:
    """How often each job's message is in the sessions of the server."""
    return Counter(
        message.text
        for session in client.sessions.list()
        for message in client.sessions.messages(session)
        if message.role == "user"
    )


if __name__ == "__main__":
    main()
