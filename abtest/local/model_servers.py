"""The model servers behind the local balancer: the user's own, or sample servers as processes of their own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

__all__ = ["Fault", "ModelServers"]

#: Runs a program that ends when its standard input does, so that it never outlives the process that started it.
_UNTIL_STDIN_ENDS = """
import os, runpy, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Fault(NamedTuple):
    """What is wrong with a sample server: the share of requests that fail, and by how many seconds all are slower."""

    errors: float = 0.0
    delay: float = 0.0


class ModelServers:
    """A URL for each variant, from within ``async with``, which ends what was started.

    ``own`` maps variants to the user's model servers. Each other variant gets one sample server, which answers for all
    of its targets, with the variant's fault, if there is one.
    """

    def __init__(self, own: Mapping[str, str], faults: Mapping[str, Fault] | None = None) -> None:
        self._urls, self._faults = dict(own), faults or {}
        self._processes: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.terminate()
        await asyncio.gather(*(process.wait() for process in self._processes))

    async def urls(self, variants: Iterable[str]) -> Mapping[str, str]:
        """The URLs of these variants; starts what is missing."""
        missing = [variant for variant in variants if variant not in self._urls]
        started = await asyncio.gather(*map(self._start, missing))
        self._urls.update(zip(missing, started, strict=True))
        return self._urls

    async def _start(self, variant: str) -> str:
        program = Path(__file__).parent.parent / "sample" / "server.py"
        fault = self._faults.get(variant, Fault())
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _UNTIL_STDIN_ENDS, str(program)),
            *("--host", "127.0.0.1", "--port", "0", "--version", variant),
            *("--errors", str(fault.errors), "--delay", str(fault.delay)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the balancer, which ends them
        )
        self._processes.append(process)
        if process.stdout is None:
            raise RuntimeError("a process without its output")  # it was asked for above
        line = (await process.stdout.readline()).decode()
        return f"http://127.0.0.1:{line.split()[-1]}"
