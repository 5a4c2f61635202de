"""An MCP server with one tool, over standard input and output (modelcontextprotocol.io, "stdio"). Standard library only."""

import json
import sys

_TOOL = {
    "name": "lookup",
    "description": "Look a word up.",
    "inputSchema": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


def _result(method: str, given: dict[str, object]) -> dict[str, object] | None:
    if method == "initialize":
        return {
            "protocolVersion": given.get("protocolVersion"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "tests", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": [_TOOL]}
    if method == "tools/call":
        arguments = given.get("arguments") or {}
        return {"content": [{"type": "text", "text": f"found {arguments['word']}"}], "isError": False}  # type: ignore[index]
    return {} if method == "ping" else None


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    found = _result(message["method"], message.get("params") or {})
    answer = {"result": found} if found is not None else {"error": {"code": -32601, "message": "no such method"}}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
