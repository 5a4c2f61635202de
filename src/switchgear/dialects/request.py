"""A request's body as far as the pipeline has to know it, without translating it. Level 1.

`request_reader` makes it of bytes, `request_writer` bytes of it for a provider of the same dialect.
"""

import msgspec
from msgspec import Raw

from switchgear.dialects.forms import Form
from switchgear.dialects.json_guard import Scan
from switchgear.dialects.json_node import Node, check_size, decode, fields_of
from switchgear.dialects.references import Reference

# Consumed here, never forwarded (docs/contract.md §4).
CONSUMED = frozenset(
    {
        "litellm_metadata",
        "fallbacks",
        "num_retries",
        "guardrails",
        # what LiteLLM's clients say to it in the body (its documentation, "Input params"; from memory)
        "cache",
        "mock_response",
        "mock_tool_calls",
        "mock_timeout",
        "litellm_session_id",
        "litellm_trace_id",
        "litellm_call_id",
        "drop_params",
        "additional_drop_params",
        "allowed_openai_params",
        "disable_fallbacks",
        "caching",
        "request_timeout",
        "stream_timeout",
        "timeout",
        "mock_testing_fallbacks",
        "mock_testing_rate_limit_error",
        "no-log",
        "litellm_logging_obj",
    }
)
KEPT_BYTES = 256
"""The largest value of a body that is kept while its stream goes on: `store`, `metadata` and their like."""
_NULL = Raw(b"null")


class Request(msgspec.Struct):
    """What the pipeline needs to know of a body; `fields` is the body, one level deep."""

    fields: dict[str, Raw]
    dialect: str
    """The dialect that the body is in. Cursor sends one of responses to the path of chat."""
    operation: str
    model: str
    stream: bool
    asked_usage: bool = False
    """True when the client itself asked for usage in the stream (only OpenAI's clients must ask)."""
    shows_usage: bool = False
    """True when its stream shall tell the usage although its body did not ask: it asked for the cost."""
    output_tokens_max: int | None = None
    end_user: str | None = None
    session: str | None = None
    tags: list[str] | None = None
    has_model: bool = True
    is_default_model: bool = False
    """True where the client named no model, and the operation's own default is asked."""
    has_metadata_tags: bool = False
    lowered: list[str] = []
    """Members that were brought down to a ceiling of key or model."""
    refers_to: str | None = None
    """The stored response that is asked for, where its id stands in the path; on a raw path, the model as it was named."""
    references: list[Reference] = []
    """What the request names that a provider keeps."""
    method: str = "POST"
    stored_path: str = "stored"
    """Which of the paths of something stored is asked for."""
    form: Form | None = None
    """A multipart form, for uploads; `fields` is empty then."""

    scan: Scan | None = None
    """What a large body is made of; None for a small one."""

    @property
    def is_large(self) -> bool:
        """True when it has to be translated in slices."""
        return self.scan is not None

    def let_go(self) -> None:
        """No further attempt will be made: forget the body but for its small values. They are copied, because each of them keeps
        the whole body alive, and a stream may last an hour."""
        self.fields = {
            name: value.copy() if memoryview(value).nbytes <= KEPT_BYTES else _NULL
            for name, value in self.fields.items()
        }

    def node(self) -> Node:
        """Return the body for translation; a large one's values are decoded as they are reached. Raises InvalidBodyError for
        one with too many values."""
        if self.scan is None:
            return Node({key: decode(value) for key, value in self.fields.items()})
        check_size(self.scan, "a body")
        return Node(fields_of(self.fields))
