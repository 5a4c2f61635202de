"""What raw paths and their bodies name."""

import pytest

from switchgear.dialects import raw_references


def test_raw_paths_name_things_behind_their_collections():
    def found(path, names_things=False):
        return [(r.kind, r.id) for r in raw_references.find_in_path(path, names_things)]

    assert found("/responses/resp_1/cancel") == [("response", "resp_1")]
    assert found("/vector_stores/vs_1/files/file-1") == [("vector_store", "vs_1"), ("file", "file-1")]
    assert found("/messages/batches/msgbatch_1/results") == [("batch", "msgbatch_1")]
    assert found("/files/abc", True) == [("named", "files/abc")]
    assert found("/chat/completions") == []
    assert found("/files") == []
    assert found("/models/gpt-4o") == []


def test_bodies_of_raw_paths_are_searched_by_their_keys():
    body = {"training_file": "file-1", "x": [{"vector_store_ids": ["vs_1"]}], "conversation": {"id": "conv_1"}}
    assert {r.id for r in raw_references.find_anywhere(body)} == {"file-1", "vs_1", "conv_1"}


@pytest.mark.parametrize("path", ["/Files/file-1", "/FILES/file-1/content", "/v1/fileS/file-1"])
def test_collections_of_raw_paths_are_known_in_any_letters(path):
    assert [(found.kind, found.id) for found in raw_references.find_in_path(path, False)] == [("file", "file-1")]


@pytest.mark.parametrize("key", ["file_id", "fileId", "FILE_ID", "File-Id", "input_file_id", "inputFileId"])
def test_keys_of_raw_bodies_are_known_in_any_letters(key):
    assert [(found.kind, found.id) for found in raw_references.find_anywhere({key: "file-1"})] == [("file", "file-1")]


@pytest.mark.parametrize(
    ("name", "key"),
    [("file_ids[]", "file_ids"), ("image[file_id]", "file_id"), ("file_ids[0]", "file_ids"), ("a", "a"), ("[]", "[]")],
)
def test_a_field_of_a_form_may_be_written_with_brackets(name, key):
    assert raw_references.plain_key(name) == key


@pytest.mark.parametrize("body", [{"items": [{"id": "i"}]}, {"video_id": "i"}, {"completion_id": "i"}])
def test_further_keys_of_raw_bodies_name_things(body):
    assert [found.id for found in raw_references.find_anywhere(body)] == ["i"]
    given = {"items": [{"type": "message", "id": "i", "role": "user", "content": "x"}]}
    assert raw_references.find_anywhere(given) == []
