"""Peers are chosen by name; an unknown name is refused before anything starts."""

import pytest

from switchgear.bench import peers


def test_names_are_read_from_a_comma_separated_list():
    assert peers.wanted("") == []
    assert peers.wanted(" litellm, portkey ,") == ["litellm", "portkey"]


def test_an_unknown_peer_is_named():
    with pytest.raises(SystemExit, match="'lightllm' is not known; choose from litellm, portkey"):
        peers.wanted("litellm,lightllm")


def test_versions_are_read_from_what_was_installed(tmp_path):
    info = tmp_path / "lib/python3.11/site-packages/litellm-1.2.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: litellm\nVersion: 1.2.3\n")
    package = tmp_path / "node_modules/@portkey-ai/gateway"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{\n  "name": "@portkey-ai/gateway",\n  "version": "1.15.2"\n}\n')
    assert peers._version("litellm", tmp_path) == "1.2.3"
    assert peers._version("portkey", tmp_path) == "1.15.2"
    assert peers._version("litellm", tmp_path / "none") == "?"
