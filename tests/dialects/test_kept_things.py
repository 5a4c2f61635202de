"""What answers make known."""

from switchgear.dialects import kept_things


def test_a_response_makes_its_items_and_containers_known():
    answer = {
        "id": "resp_1",
        "conversation": {"id": "conv_1"},
        "output": [
            {"id": "rs_1", "type": "reasoning"},
            {"id": "ci_1", "type": "code_interpreter_call", "container_id": "cntr_1"},
            {
                "id": "msg_1",
                "type": "message",
                "content": [
                    {
                        "type": "output_text",
                        "text": "x",
                        "annotations": [
                            {"type": "container_file_citation", "file_id": "cfile_1", "container_id": "cntr_1"},
                            {"type": "file_citation", "file_id": "file-others"},
                        ],
                    }
                ],
            },
        ],
    }
    known = kept_things.kept_by_response(answer)
    assert known == ["resp_1", "conv_1", "rs_1", "ci_1", "cntr_1", "msg_1", "cfile_1"]


def test_a_message_makes_its_container_and_files_known():
    answer = {
        "id": "msg_1",
        "container": {"id": "container_1", "expires_at": "2026-01-01T00:00:00Z"},
        "content": [
            {
                "type": "bash_code_execution_tool_result",
                "content": {"type": "bash_code_execution_result", "content": [{"file_id": "file_1"}]},
            }
        ],
    }
    assert set(kept_things.kept_by_message(answer)) == {"container_1", "file_1"}


def test_raw_answers_make_things_known():
    def made(value):
        return kept_things.kept_by_raw_answer(value, True)

    assert made({"id": "file-1", "object": "file"}) == ["file-1"]
    assert made({"file": {"name": "files/abc", "uri": "https://x"}}) == ["files/abc"]
    assert made({"name": "cachedContents/c1"}) == ["cachedContents/c1"]
    assert made({"object": "list", "data": [{"id": "file-1"}]}) == []
    assert made([1]) == []


def test_what_came_of_a_thing_is_learned_when_it_is_looked_at():
    batch = {"id": "batch_1", "object": "batch", "output_file_id": "file-2", "error_file_id": None}
    assert kept_things.kept_by_raw_answer(batch, False) == ["file-2"]
    assert kept_things.kept_by_raw_answer({"id": "file-others", "object": "file"}, False) == []
    response = {"id": "resp_1", "object": "response", "output": [{"id": "msg_1"}]}
    assert kept_things.kept_by_raw_answer(response, False) == ["resp_1", "msg_1"]


def test_an_id_that_is_too_long_or_not_plain_is_not_kept():
    assert kept_things.is_id("resp_1") and kept_things.is_id("files/abc")
    assert not any(map(kept_things.is_id, ["", "a b", "a\n", "x" * 257, "\x1b[2J"]))
    assert len(kept_things.kept_by_response({"output": [{"id": f"i{n}"} for n in range(500)]})) == kept_things.KEPT_MAX
