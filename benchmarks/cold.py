"""Measurements in a new interpreter: imports, the first call, and the command-line program."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.bodies import EVERRUNS_ID, QODER_ID
from benchmarks.hand_clients import TOKEN

_FRAME: Final = """
import sys, time
from benchmarks.resident import resident_mb
held_mb, started_s = resident_mb(), time.process_time()
{code}
print(time.process_time() - started_s, resident_mb() - held_mb)
"""
_BY_HAND: Final = f"""
import httpx
from pydantic import BaseModel
from benchmarks.hand import QoderSession
http = httpx.Client(base_url="{{base_url}}/qoder", headers={{{{"authorization": "Bearer {TOKEN}"}}}})
QoderSession.model_validate_json(http.get("/sessions/{QODER_ID}").content)
"""
_OURS: Final = f"""
from polysession import Client
client = Client("qoder", token="{TOKEN}", base_url="{{base_url}}/qoder")
client.sessions.get("{QODER_ID}")
"""
_QCA: Final = f"""
import qca
sdk = qca.Managed(base_url="{{base_url}}/qoder", pat="{TOKEN}")
sdk.sessions.retrieve("{QODER_ID}")
"""
_ANTHROPIC: Final = f"""
import anthropic
sdk = anthropic.Anthropic(base_url="{{base_url}}/qoder", api_key="{TOKEN}")
sdk.beta.sessions.retrieve("{QODER_ID}")
"""
_EVERRUNS: Final = f"""
import asyncio, everruns_sdk
async def main():
    async with everruns_sdk.Everruns(api_key="{TOKEN}", base_url="{{base_url}}/everruns") as sdk:
        await sdk.sessions.get("{EVERRUNS_ID}")
asyncio.run(main())
"""

IMPORTS: Final = {
    "httpx": "import httpx",
    "httpx and pydantic": "import httpx, pydantic",
    "polysession": "import polysession",
    "qca-sdk": "import qca",
    "everruns-sdk": "import everruns_sdk",
    "anthropic": "import anthropic",
}
FIRST_CALLS: Final = {
    "hand": _BY_HAND,
    "polysession": _OURS,
    "qca-sdk": _QCA,
    "everruns-sdk": _EVERRUNS,
    "anthropic": _ANTHROPIC,
}


def run(code: str) -> tuple[float, float]:
    """Run code in a new interpreter.

    Returns CPU seconds and MB of memory, without those of the interpreter itself.
    """
    command = [sys.executable, "-c", _FRAME.format(code=code)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(answer[-2]), float(answer[-1])


def run_command(command: list[str]) -> float:
    """Return the CPU seconds of a whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


COMMANDS: Final = {
    "bare interpreter": [sys.executable, "-c", "pass"],
    "polysession --version": [str(Path(sys.executable).with_name("polysession")), "--version"],
}
