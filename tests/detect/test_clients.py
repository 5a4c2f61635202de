# switchgear:allow-file: samples of what it finds
import pytest

from switchgear.detect import clients


@pytest.mark.parametrize(
    "path", ["home/ann/.cursor/mcp.json", ".mcp.json", "repo/.vscode/mcp.json", "home/ann/.codex/config.toml"]
)
def test_where_clients_keep_servers(path):
    assert clients.is_mcp_file(path)


@pytest.mark.parametrize("path", ["/x/notmcp.json", "mcp.json.bak", "src/mcp.json"])
def test_other_files_are_none(path):
    assert not clients.is_mcp_file(path)


def test_servers_and_their_problems():
    text = b"""{
      // a comment
      "mcpServers": {
        "fs": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/"]},
        "pinned": {"command": "/usr/bin/uvx", "args": ["tool@1.2.3"], "env": {"TOKEN": "secret-value"}},
        "far": {"url": "http://mcp.acme.example/mcp?token=secret-value"},
        "near": {"url": "https://mcp.acme.example/mcp", "alwaysAllow": ["x"]}
      }}"""
    found = {s.name: s for s in clients.mcp_servers(".mcp.json", text)}
    assert found["fs"].program == "npx @modelcontextprotocol/server-filesystem"
    assert found["fs"].problems == ("takes the newest version at each start",)
    assert found["pinned"].problems == () and not found["pinned"].remote
    assert found["far"].program == "mcp.acme.example" and found["far"].problems == ("over plain http",)
    assert "secret-value" not in repr(found)


def test_mcp_servers_are_found_in_toml_and_yaml():
    toml = b'[mcp_servers.x]\ncommand = "uvx"\nargs = ["y@1"]\n'
    assert [s.name for s in clients.mcp_servers(".codex/config.toml", toml)] == ["x"]
    yaml = b"extensions:\n  dev:\n    cmd: npx\n    args: [a]\n"
    assert [s.name for s in clients.mcp_servers("goose/config.yaml", yaml)] == ["dev"]


@pytest.mark.parametrize("data", [b"{", b"\xff\xfe", b"[]" * 3, b"{" * 4000, b""])
def test_a_broken_file_says_so(data):
    with pytest.raises(ValueError):
        list(clients.mcp_servers(".mcp.json", data))


def test_yaml_objects_are_not_made():
    with pytest.raises(ValueError):
        list(clients.mcp_servers("goose/config.yaml", b"!!python/object/apply:os.system ['true']"))


def test_credential_files_and_gateways():
    assert clients.credential_file("home/ann/.codex/auth.json") == "Codex"
    assert clients.credential_file("home/ann/auth.json") is None
    assert clients.is_litellm_config(b"model_list:\n  - litellm_params: {}\n")
    assert clients.gateway_file("a/librechat.yaml", {"librechat.yaml": "librechat"}) == "librechat"


def test_values_that_are_no_text_are_left_alone():
    names = list(zip("abcdefgh", "bcdefghi", strict=True))
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{c}: &{c} [{', '.join(['*' + p] * 10)}]\n" for p, c in names
    )
    text = bomb + "extensions:\n  dev: {cmd: *i, args: *i, url: *i}\n"
    (found,) = clients.mcp_servers("goose/config.yaml", text.encode())
    assert found.program == ""
