"""Every path that discovery may ask another machine for, and those it must never ask. Level 1.

GET is not harmless everywhere: LiteLLM's /health makes a paid call to each model, SGLang's /health_generate computes and
/flush_cache changes state, webhooks run workflows. So the list is closed: a product file cannot bring a path of its own
(tests/detect/test_probe_paths.py), users cannot give one, and a request for another path is refused where it is sent.
"""

import re

ALLOWED = frozenset(
    """
        / /.well-known/oauth-protected-resource /.well-known/serviceinfo /__openclaw/control-ui-config.json /api
        /api-description /api/authentication_mode /api/cache /api/config /api/docs /api/extra/version
        /api/models /api/options/config /api/ping /api/public/health /api/session/is-auth-enabled /api/status
        /api/tags /api/v0/models /api/v1/chatflows /api/v1/heartbeat /api/v1/ping /api/v1/version
        /api/v2/heartbeat /api/v2/public-config /api/v2/version /api/version /collections /config /config_dump
        /connect/claude-code /console/api/setup /dashboard /docs /docs.json /download/swagger.json
        /health/liveliness /health/readiness /healthcheck /info /lmstudio-greeting /login /manifest.webmanifest
        /mcp /metrics /model_info /openapi.json /playground/index.html /props /public/ /rest/settings
        /sdapi/v1/cmd-flags /services /site.webmanifest /status /system_stats /ui/ /v1/cluster/auth
        /v1/cluster/version /v1/internal/model/info /v1/meta /v1/metadata /v1/models /v1/system/healthz
        /v1/version /v2 /version /webui/
        """.split()  # noqa: SIM905 - a list to read
)
"""Each was looked up: it reads, it costs nothing, it changes nothing."""

DENIED = (
    # Path, whose, what it does. A path of ALLOWED may match none of them.
    (re.compile(r"/health/?"), "LiteLLM, SGLang, TGI", "calls every model for money, or computes"),
    (re.compile(r"/health/services.*"), "LiteLLM", "sends messages to integrations"),
    (re.compile(r"/health_generate.*"), "SGLang, TensorRT-LLM", "generates"),
    (
        re.compile(r"/(flush_cache|start_profile|stop_profile|freeze_gc|abort_request.*|pause.*|resume)"),
        "SGLang, vLLM",
        "changes state",
    ),
    (
        re.compile(r"/(collective_rpc|update_weights.*|invocations|pooling|classify|score|rerank|tokenize)"),
        "vLLM",
        "computes or changes state",
    ),
    (re.compile(r"/server_info"), "SGLang, vLLM", "tells secrets"),
    (re.compile(r"/(webhook|webhook-test|form)/.*"), "n8n", "runs a workflow"),
    (re.compile(r"/(queue|gradio_api|run|predict|call)(/.*)?"), "Gradio, ComfyUI", "queues work"),
    (re.compile(r"/(expr|log/level|management/.*)"), "Milvus", "changes state"),
    (
        re.compile(r"/api/(generate|chat|pull|push|create|delete|embed.*|blobs.*)"),
        "Ollama",
        "computes or changes state",
    ),
    (
        re.compile(r"/v1/(chat/|messages|completions|responses|embeddings|images|audio).*"),
        "model servers",
        "computes for money",
    ),
    (re.compile(r"/v2/repository/.*"), "Triton", "loads models"),
    (re.compile(r"/api/v1/auto_login"), "Langflow", "gives out a session"),
    (re.compile(r"/api/(setup-complete|env-dump)"), "AnythingLLM", "tells settings"),
    (re.compile(r"/config/update.*|/key/.*|/model/(new|delete|update).*"), "LiteLLM", "changes configuration"),
    (re.compile(r"/cache/(flushall|delete).*"), "LiteLLM", "changes state"),
    (re.compile(r"/api/kernels.*|/api/terminals.*"), "Jupyter", "starts programs"),
    (re.compile(r".*[?#;@\\].*|.*\.\..*|.*//.*"), "everyone", "is no plain path"),
)


def is_allowed(path: str) -> bool:
    """Tell whether discovery may send GET for a path. Control probes (`/` and 16 hexadecimal digits) may be sent too."""
    return path in ALLOWED or re.fullmatch(r"/[0-9a-f]{16}", path) is not None
