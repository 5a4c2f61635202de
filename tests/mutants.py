"""Mistakes put into a copy of the product, one after the other: a test must notice each.

    python -m tests.mutants              all of them, a table, exit 1 when one was not noticed
    python -m tests.mutants lose swap    those whose names begin so

A mutant is a text of a source file that stands there exactly once, and what it becomes. It names the smallest tests that should
notice; they run against the copy, never against the checkout. What counts is a failed test, not one that cannot be collected.
"""

import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"
SECONDS_MAX = 120
HEAVY = (
    "anthropic.types.beta.message_create_params",
    "anthropic.lib.streaming._beta_messages",
    "botocore.session",
    "botocore.validate",
    "cohere.v2.types",
    "google.genai.types",
    "openai.lib.streaming.chat",
    "openai.lib.streaming.responses._responses",
    "openai.types.chat.completion_create_params",
    "openai.types.responses.response_create_params",
)
IMPORTED = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
CROSSED = "tests/end_to_end/test_crossed.py"


class Mutant(NamedTuple):
    """A mistake."""

    name: str
    file: str
    """Below src/switchgear."""
    old: str
    new: str
    tests: tuple[str, ...] = (CROSSED,)


OPENAI, RESPONSES, ANTHROPIC = "dialects/openai", "dialects/responses", "dialects/anthropic"
GEMINI, BEDROCK = "dialects/gemini", "dialects/bedrock"
PRICE, BILL = "tests/pricing/test_price.py", "tests/edge/test_bill.py"
ODD = "tests/dialects/test_fitting.py"

MUTANTS = (
    # what an answer says
    Mutant("lose a call of a plain answer", f"{OPENAI}/answers.py", "    parts = yield from decode_assistant(message)\n", "    parts = (yield from decode_assistant(message))[:-1]\n"),
    Mutant("lose a call of a stream", f"{OPENAI}/streams.py", "        for call in delta.tool_calls or []:\n            self._tool(call)\n        old", "        for call in (delta.tool_calls or [])[:0]:\n            self._tool(call)\n        old"),
    Mutant("drop a byte of a delta", f"{OPENAI}/streams.py", '                sequence.text("text", delta.content)\n', '                sequence.text("text", delta.content[:-1] or delta.content)\n'),
    Mutant("drop a piece of arguments", f"{OPENAI}/streams.py", "        if piece is self._open_call:\n            self._sequence.more(text)\n", '        if piece is self._open_call:\n            self._sequence.more(text[1:] if len(text) > 2 else text)\n'),
    Mutant("mix calls of one index", f"{OPENAI}/streams.py", "        if known is not None and call.id and call.id != known.id and function.name:\n", "        if known is not None and call.id and call.id != known.id and not function.name:\n"),
    Mutant("begin a call before the last is complete", f"{OPENAI}/streams.py", "not self._sequence.is_open or self._open_call.is_complete()", "not self._sequence.is_open or True"),
    Mutant("forget the end without [DONE]", f"{OPENAI}/streams.py", "        if not self._ended and self._finish is not None:\n            self._end()\n", ""),
    Mutant("lose an id of a call", f"{OPENAI}/streams.py", '            "id": event.id,\n', '            "id": "call_0",\n'),
    Mutant("one index for all calls", f"{OPENAI}/streams.py", "        self._calls += 1\n        call: dict", "        call: dict"),
    Mutant("no index for a second thought", f"{OPENAI}/streams.py", '| {"index": self._details}', "", ("tests/dialects/openai/test_streams.py",)),
    Mutant("swap finish reasons of chat", f"{OPENAI}/answers.py", '    "length": "length",\n    "tool_calls": "tool_calls",\n    "function_call"', '    "length": "stop",\n    "tool_calls": "tool_calls",\n    "function_call"'),
    Mutant("swap finish reasons for chat", f"{OPENAI}/answers.py", '    "content_filter": "content_filter",\n    "refusal": "content_filter",\n    "pause": "stop",', '    "content_filter": "stop",\n    "refusal": "content_filter",\n    "pause": "stop",'),
    Mutant("lose a call of a response", f"{RESPONSES}/answers.py", 'item.need("call_id"), item.need("name"), item.text("arguments") or "{}"', 'item.need("call_id"), item.need("name"), "{}"'),
    Mutant("end an incomplete response well", f"{RESPONSES}/answers.py", '    if reason == "max_output_tokens":\n        return "length"\n', ""),
    Mutant("say an incomplete response is completed", f"{RESPONSES}/answers.py", '{"reason": reason} if reason is not None else None', "None"),
    Mutant("lose arguments of a streamed response", f"{RESPONSES}/streams.py", 'part.arguments = text or "{}"', 'part.arguments = "{}"'),
    Mutant("lose a text block", f"{ANTHROPIC}/streams.py", '            self.sequence.more(delta.text("text") or "")\n        elif kind == "citations_delta"', '            pass\n        elif kind == "citations_delta"'),
    Mutant("lose arguments of Anthropic", f"{ANTHROPIC}/streams.py", 'self.sequence.more(delta.text("partial_json") or "")', 'self.sequence.more("")'),
    Mutant("rename an id of Anthropic", f"{ANTHROPIC}/answers.py", '"type": "tool_use", "id": part.id', '"type": "tool_use", "id": part.name'),
    Mutant("take thoughts for text (Gemini)", f"{GEMINI}/answers.py", '            if part.flag("thought"):\n', "            if False:\n"),
    Mutant("let a filter of Gemini's pass", f"{GEMINI}/answers.py", '    if reason in _FILTERED:\n        return "content_filter"\n', ""),
    Mutant("lose a call of a Gemini stream", f"{GEMINI}/streams.py", '            sequence.begin("tool", part.id, part.name, part.signature)\n            sequence.more(part.arguments)\n', '            sequence.begin("tool", part.id, part.name, part.signature)\n'),
    Mutant("lose a block of Bedrock", f"{BEDROCK}/streams.py", 'sequence.more(delta.object("toolUse").text("input") or "")', "pass"),
    Mutant("call what Bedrock ran", f"{BEDROCK}/streams.py", 'start.text("type") == "server_tool_use"', 'start.text("type") == "nothing"', ("tests/dialects/bedrock/test_streams.py",)),
    Mutant("swap stop reasons of Bedrock", f"{BEDROCK}/answers.py", '    "max_tokens": "length",\n', '    "max_tokens": "stop",\n'),
    Mutant("lose a call of Cohere", "dialects/cohere.py", '            sequence.more(message.object("tool_calls").object("function").text("arguments") or "")\n', '            sequence.more("")\n'),
    Mutant("swap finish reasons of Cohere", "dialects/cohere.py", '    "MAX_TOKENS": "length",\n', '    "MAX_TOKENS": "stop",\n'),
    Mutant("give one id to all without", "dialects/canonical.py", "        self.events.append(PartBegin(self.index, kind, part_id, name, signature))", "        self.events.append(PartBegin(self.index, kind, part_id, kind, signature))"),
    Mutant("an empty call has no arguments", "dialects/canonical.py", '                self.events.append(Delta(self.index, "{}"))\n', "                pass\n", (CROSSED,)),
    Mutant("stop where a tool is called", "dialects/translated_stream.py", '                if event.finish == "stop" and self._has_calls:', '                if event.finish == "tool_calls" and self._has_calls:', (CROSSED,)),
    Mutant("send the billing line to everybody", f"{ANTHROPIC}/requests.py", "Text(without_line(block.need(\"text\")), _cache(block))", "Text(block.need(\"text\"), _cache(block))", ("tests/dialects/anthropic/test_billing_line.py",)),
    Mutant("tell DeepSeek of a developer", "dialects/openai/refused_members.py", "    if not quirks.developer and raw", "    if quirks.developer and raw", ("tests/dialects/openai/test_refused_members.py",)),
    Mutant("begin a call without its name", f"{OPENAI}/streams.py", "        elif piece.name and (self._open_call", "        elif True and (self._open_call", ("tests/dialects/openai/test_streams.py",)),
    Mutant("search as often as it likes", f"{RESPONSES}/requests.py", '        body["max_tool_calls"] = search.uses_max\n', "        pass\n", ("tests/dialects/test_web_search.py",)),
    Mutant("lose sources of a stream", f"{ANTHROPIC}/streams.py", "                sequence.more(web_search.links(self._cited))\n", "", ("tests/dialects/test_web_search.py",)),
    # what is booked
    Mutant("book a raw answer whenever it is asked for", "edge/upstream_answers.py", "operation in FREE_OPERATIONS or background_notes.is_earlier(request, metadata)", "operation in FREE_OPERATIONS", ("tests/edge/test_background_polls.py",)),
    Mutant("never correct what a raw path began", "ledger/settlement.py", "opened.callee.operation == RAW and", "opened.callee.operation == 'raw' and", ("tests/ledger/test_settlement.py",)),
    Mutant("price a data zone as the world", "pricing/catalog.py", 'f"{pricing_id}{REGIONAL}" if', 'f"{pricing_id}" if', ("tests/pricing/test_catalog.py",)),
    Mutant("count cached tokens twice (chat)", f"{OPENAI}/usage.py", "        input=max(0, total_in - (cached or 0) - (written or 0) - (audio or 0) - (seen or 0)),", "        input=max(0, total_in - (written or 0) - (audio or 0) - (seen or 0)),"),
    Mutant("count reasoning twice (chat)", f"{OPENAI}/usage.py", "output=total_out - parts_out if total_out >= parts_out else total_out", "output=total_out", ("tests/dialects/openai/test_usage.py", CROSSED)),
    Mutant("let no total decide", f"{OPENAI}/usage.py", "        hides = hidden > 0 and raw.completion_tokens is not None\n", "        hides = False\n", (CROSSED, "tests/dialects/openai/test_usage.py")),
    Mutant("forget what was written to the cache", f"{ANTHROPIC}/answers.py", "            cache_write_5m=written,\n", "            cache_write_5m=None,\n"),
    Mutant("forget thoughts of Gemini", f"{GEMINI}/answers.py", "        reasoning=found.thoughts_token_count,\n", "        reasoning=None,\n"),
    Mutant("forget tokens of Gemini's tools", f"{GEMINI}/answers.py", "(found.prompt_token_count or 0) + (found.tool_use_prompt_token_count or 0)", "(found.prompt_token_count or 0)"),
    Mutant("book what Cohere reads, not what it bills", "dialects/cohere.py", "counts = found.billed_units or found.tokens\n", "counts = found.tokens or found.billed_units\n"),
    Mutant("let the first usage of a stream count", f"{ANTHROPIC}/streams.py", "                self._usage = self._usage.merge(usage)\n", "                self._usage = usage.merge(self._usage)\n"),
    Mutant("forget a meter", "pricing/price.py", "        total += quantity * rate\n        lines.append(CostLine(meter", "        total += quantity * rate if meter != 'reasoning' else 0\n        lines.append(CostLine(meter", (PRICE,)),
    Mutant("forget a unit", "pricing/price.py", "            total += count * rate\n", "", (PRICE,)),
    Mutant("take an unknown price for nothing", "pricing/price.py", "        if found is None:\n            return None\n        rate = found.at(input_total)", "        if found is None:\n            continue\n        rate = found.at(input_total)", (PRICE,)),
    Mutant("forget a step of a price", "pricing/price.py", "            if input_total > start:\n", "            if input_total < start:\n", (PRICE,)),
    Mutant("forget a discount", "pricing/price.py", "total * (BASIS_POINTS - price.discount_bp)", "total * BASIS_POINTS", (PRICE,)),
    Mutant("forget a service tier", "pricing/price.py", "            rate = overrides.get(at) or self.rates.get(at)\n", "            rate = self.rates.get(at)\n", (PRICE,)),
    Mutant("book ours where theirs counts", "edge/bill.py", "    return int((usd * NANO_PER_USD).to_integral_value())", "    return None", (BILL,)),
    Mutant("count a cut stream twice", "dialects/text_count.py", "        return max(self.deltas, self.size // BYTES_PER_TOKEN)", "        return self.deltas + self.size // BYTES_PER_TOKEN", ("tests/dialects/test_text_count.py",)),
    # what is asked
    Mutant("drop is_error to Anthropic", f"{ANTHROPIC}/requests.py", "            if part.is_error:\n", "            if False:\n"),
    Mutant("drop status error to Bedrock", f"{BEDROCK}/requests.py", '({"status": "error"} if part.is_error else {})', "{}"),
    Mutant("drop a tool's result", f"{OPENAI}/requests.py", '            out.append({"role": "tool", "tool_call_id": part.call_id, "content": text})\n', "            pass\n"),
    Mutant("drop a picture", f"{GEMINI}/requests.py", "        mime = blob.text(\"mimeType\")\n        return Media(media.kind_of_mime(mime), mime, blob.need(\"data\")", "        mime = blob.text(\"mimeType\")\n        return Text(\"\") if mime else Media(media.kind_of_mime(mime), mime, blob.need(\"data\")"),
    Mutant("drop the instructions", f"{RESPONSES}/requests.py", '        request.system.append(Text(body.need("instructions")))\n', "        pass\n"),
    Mutant("let an empty text pass", "dialects/fitting.py", "        message.parts = [part for part in message.parts if not is_blank(part)]\n", "", (ODD,)),
    Mutant("declare no past tools", "dialects/fitting.py", "    if rules.past_tools and not request.tools:\n", "    if rules.past_tools and request.tools is None:\n", (ODD,)),
    Mutant("map no names back", "dialects/fitting.py", "    return {short: name for name, short in given.items()}\n", "    return {}\n", (ODD,)),
    Mutant("send refused sampling parameters", "dialects/fitting.py", '            setattr(request, name, [] if name == "stop" else None)\n', "            pass\n", (ODD,)),
    Mutant("think at no cost at all", "dialects/fitting.py", "max(facts.budget_min, min(budget, facts.budget_max))", "min(budget, facts.budget_max)", (ODD,)),
    Mutant("send thinking back to who refuses it", "dialects/translation.py", "        if facts.thinking_returns and quirks.takes_reasoning_content:\n", "        if facts.thinking_returns:\n", ("tests/dialects/openai/test_requests.py",)),
    Mutant("ask Mistral for its usage", "providers/catalogue.py", '    body={"stream_options": None},\n)\n# console', ")\n# console", ("tests/dialects/openai/test_requests.py",)),
    Mutant("bring no thinking back", f"{OPENAI}/requests.py", "    elif quirks.reasoning_content and (thoughts or calls):\n", "    elif quirks.reasoning_content and thoughts and not calls:\n", ("tests/dialects/openai/test_requests.py",)),
    # what clients act on
    Mutant("a long context is a bad request", "dialects/meanings.py", '    if meaning is None and status != 429 and _TOO_LONG.search(text):\n        meaning = "context_length"\n', "", ("tests/dialects/test_meanings.py",)),
    Mutant("no delay of RetryInfo", "dialects/meanings.py", '    if b"retryDelay" not in body:\n', '    if b"retryDelay" in body:\n', ("tests/dialects/test_meanings.py",)),
)  # fmt: skip


class Verdict(NamedTuple):
    """What came of a mutant."""

    mutant: Mutant
    outcome: str
    """noticed, NOT NOTICED, or why it could not be tried."""
    seconds: float


def misfit(mutant: Mutant) -> str | None:
    """Return why a mutant no longer fits its file, or None."""
    count = (SRC / "switchgear" / mutant.file).read_text().count(mutant.old)
    return None if count == 1 else f"its text stands {count} times in {mutant.file}"


def try_one(mutant: Mutant, copy: Path) -> Verdict:
    """Put the mistake into the copy, run its tests there, and take it out again."""
    wrong = misfit(mutant)
    if wrong is not None:
        return Verdict(mutant, wrong, 0.0)
    path = copy / "switchgear" / mutant.file
    text = path.read_text()
    path.write_text(text.replace(mutant.old, mutant.new))
    started = time.monotonic()
    try:
        code, said = _tests_in_a_fork(mutant.tests, copy)
    finally:
        path.write_text(text)
    outcome = {0: "NOT NOTICED", 1: "noticed", None: "noticed"}.get(code, f"could not run: {said[-300:]}")
    return Verdict(mutant, outcome, time.monotonic() - started)


def _tests_in_a_fork(tests: tuple[str, ...], copy: Path) -> tuple[int | None, str]:
    """Run tests on the copy in a process of their own, which has the SDKs already: to import them costs more than the tests.
    Returns (pytest's exit code, its output); None for tests that hang."""
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            code = 70
            try:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                sys.path.insert(0, str(copy))
                code = int(
                    pytest.main(["-x", "-q", "--no-header", "--tb=line", "-p", "no:randomly", "-W", IMPORTED, *tests])
                )
            except BaseException:  # noqa: BLE001  # nothing of the parent's may be undone here
                traceback.print_exc()
            finally:
                os._exit(code)
        until = time.monotonic() + SECONDS_MAX
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                output.seek(0)
                return os.waitstatus_to_exitcode(status), output.read()
            if time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return None, ""
            time.sleep(0.02)


def run(chosen: "list[Mutant]") -> list[Verdict]:
    """Try mutants in a copy of the sources."""
    for name in HEAVY:
        importlib.import_module(name)
    assert "switchgear" not in sys.modules, "the copy could not be imported any more"
    os.chdir(ROOT)
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        shutil.copytree(SRC / "switchgear", copy / "switchgear", ignore=shutil.ignore_patterns("__pycache__"))
        for mutant in chosen:
            verdicts.append(try_one(mutant, copy))
            print(f"{verdicts[-1].outcome:12} {verdicts[-1].seconds:5.1f} s  {mutant.name}", flush=True)
    return verdicts


def main() -> None:
    """Try them, print the table."""
    begins = tuple(sys.argv[1:])
    verdicts = run([mutant for mutant in MUTANTS if not begins or mutant.name.startswith(begins)])
    noticed = sum(verdict.outcome == "noticed" for verdict in verdicts)
    print(f"{noticed} of {len(verdicts)} noticed")
    sys.exit(0 if verdicts and noticed == len(verdicts) else 1)


if __name__ == "__main__":
    main()
