"""Ask twenty sessions at once, on one async client: `python examples/fan_out.py agentscope`."""

import asyncio
import sys

from _place import Place, emulated

from polysession import AsyncClient
from polysession.emulation import serve

SESSIONS = 20


async def ask(client: AsyncClient, place: Place, number: int) -> str:
    session = await client.sessions.create(title=f"Part {number}", **place.where)
    async with client.sessions.run(session, f"part {number}", deadline_s=60) as turn:
        result = await turn.wait()
    return result.text


async def ask_all(place: Place) -> list[str]:
    async with AsyncClient(place.provider, **place.settings) as client, asyncio.TaskGroup() as group:
        asked = [group.create_task(ask(client, place, number)) for number in range(SESSIONS)]
    return [task.result() for task in asked]


if __name__ == "__main__":
    with serve(sys.argv[1] if len(sys.argv) > 1 else "qoder") as emulator:
        for text in asyncio.run(ask_all(emulated(emulator))):
            print(text)
