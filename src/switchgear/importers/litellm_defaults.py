"""What LiteLLM takes where a deployment says nothing: names of environment variables, regions. Level 2, pure.

Source: LiteLLM's pages of providers (docs.litellm.ai/docs/providers/…) and the names that its code asks `get_secret` for (read
2026-11-27). The first variable that is set counts.
"""

from collections.abc import Mapping

KEYS: dict[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "text-completion-openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "azure": ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
    "azure_ai": ("AZURE_AI_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
    "codestral": ("CODESTRAL_API_KEY",),
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
    "cohere_chat": ("COHERE_API_KEY", "CO_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "xai": ("XAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY", "OR_API_KEY"),
    "together_ai": ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"),
    "fireworks_ai": ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
    "perplexity": ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
    "huggingface": ("HUGGINGFACE_API_KEY", "HF_TOKEN"),
    "replicate": ("REPLICATE_API_KEY", "REPLICATE_API_TOKEN"),
    "databricks": ("DATABRICKS_API_KEY",),
    "snowflake": ("SNOWFLAKE_JWT",),
    "cloudflare": ("CLOUDFLARE_API_KEY",),
    "watsonx": ("WATSONX_APIKEY", "WATSONX_API_KEY", "WX_API_KEY"),
    "voyage": ("VOYAGE_API_KEY",),
    "jina_ai": ("JINA_AI_API_KEY", "JINA_AI_TOKEN"),
    "nvidia_nim": ("NVIDIA_NIM_API_KEY",),
    "cerebras": ("CEREBRAS_API_KEY",),
    "sambanova": ("SAMBANOVA_API_KEY",),
    "deepinfra": ("DEEPINFRA_API_KEY",),
    "novita": ("NOVITA_API_KEY",),
    "hyperbolic": ("HYPERBOLIC_API_KEY",),
    "nebius": ("NEBIUS_API_KEY",),
    "scaleway": ("SCW_SECRET_KEY",),
    "ovhcloud": ("OVHCLOUD_API_KEY",),
    "heroku": ("HEROKU_API_KEY",),
    "moonshot": ("MOONSHOT_API_KEY",),
    "zai": ("ZAI_API_KEY",),
    "minimax": ("MINIMAX_API_KEY",),
    "dashscope": ("DASHSCOPE_API_KEY",),
    "volcengine": ("VOLCENGINE_API_KEY", "ARK_API_KEY"),
    "ai21": ("AI21_API_KEY",),
    "ai21_chat": ("AI21_API_KEY",),
    "github": ("GITHUB_API_KEY",),
    "baseten": ("BASETEN_API_KEY",),
    "hosted_vllm": ("HOSTED_VLLM_API_KEY",),
    "lm_studio": ("LM_STUDIO_API_KEY",),
    "xinference": ("XINFERENCE_API_KEY",),
    "openai_like": ("OPENAI_LIKE_API_KEY",),
    "litellm_proxy": ("LITELLM_PROXY_API_KEY",),
    "bedrock": ("AWS_BEARER_TOKEN_BEDROCK",),
}
BASES: dict[str, tuple[str, ...]] = {
    "openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "anthropic": ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
    "azure": ("AZURE_API_BASE", "AZURE_OPENAI_API_BASE"),
    "azure_ai": ("AZURE_AI_API_BASE",),
    "hosted_vllm": ("HOSTED_VLLM_API_BASE",),
    "ollama": ("OLLAMA_API_BASE",),
    "ollama_chat": ("OLLAMA_API_BASE",),
    "lm_studio": ("LM_STUDIO_API_BASE",),
    "xinference": ("XINFERENCE_API_BASE",),
    "openai_like": ("OPENAI_LIKE_API_BASE",),
    "litellm_proxy": ("LITELLM_PROXY_API_BASE",),
    "databricks": ("DATABRICKS_API_BASE",),
    "watsonx": ("WATSONX_API_BASE", "WATSONX_URL", "WX_URL", "WML_URL"),
}
VERSIONS = ("AZURE_API_VERSION",)
ACCOUNTS = {"cloudflare": ("CLOUDFLARE_ACCOUNT_ID",), "snowflake": ("SNOWFLAKE_ACCOUNT_ID",)}
AWS_REGIONS = ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")
AWS_REGION = "us-west-2"
"""What LiteLLM takes without any ("AWS Bedrock")."""
AWS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
VERTEX_PROJECTS = ("VERTEXAI_PROJECT", "VERTEX_PROJECT", "GOOGLE_CLOUD_PROJECT")
VERTEX_LOCATIONS = ("VERTEXAI_LOCATION", "VERTEX_LOCATION")
VERTEX_LOCATION = "us-central1"
"""What LiteLLM takes without any ("Vertex AI")."""
VERTEX_FILES = ("VERTEXAI_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS")


def first(names: tuple[str, ...], environ: Mapping[str, str]) -> str | None:
    """Return the first name that is set to something."""
    return next((name for name in names if environ.get(name)), None)
