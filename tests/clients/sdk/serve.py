"""Runs scenarios as they are asked for on standard input, one JSON object a line: `connected` is a file that makes `model`. Each
ends with a line of its own. The library is loaded once for all."""

import asyncio
import json
import runpy
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

END = "[end of scenario]"


def serve(main: Callable[[Any, str, dict[str, str], bytes], Coroutine[Any, Any, None]]) -> None:
    """Run what is asked for until the input ends."""
    with asyncio.Runner() as runner:  # one loop for all: the libraries keep connections of it
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                model = runpy.run_path(asked["connected"])["model"]
                picture = Path(asked["picture"]).read_bytes()
                runner.run(main(model, asked["scenario"], asked["prompts"], picture))
            except Exception:  # noqa: BLE001  # what a client raises is what a person would see
                traceback.print_exc(file=sys.stdout)
            print(f"\n{END}", flush=True)
