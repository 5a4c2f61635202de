"""What the end-to-end tests run against."""

SECRET = "sk-provider-credential-0123456789abcdef"
ENVIRON = {"FAKE_KEY": SECRET, "FAKE_AWS": "AKIDEXAMPLEEXAMPLE:wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"}


def config(port: int, more: str = "") -> str:
    """A configuration with the fake provider under two names, and priced models."""
    return f"""
providers:
  fake: {{dialect: openai, base_url: "http://127.0.0.1:{port}/v1", allow_private: true, passthrough: ["POST /chat/*", "GET /models"], credentials: [{{name: main, secret: {{env: FAKE_KEY}}}}]}}
  claude: {{dialect: anthropic, base_url: "http://127.0.0.1:{port}/v1", allow_private: true, credentials: [{{name: main, secret: {{env: FAKE_KEY}}}}]}}
  google: {{dialect: gemini, base_url: "http://127.0.0.1:{port}/v1", allow_private: true, credentials: [{{name: main, secret: {{env: FAKE_KEY}}}}]}}
  aws: {{dialect: bedrock, base_url: "http://127.0.0.1:{port}/v1", allow_private: true, credentials: [{{name: main, secret: {{env: FAKE_KEY}}}}]}}
  commands: {{dialect: cohere, base_url: "http://127.0.0.1:{port}/v2", allow_private: true, credentials: [{{name: main, secret: {{env: FAKE_KEY}}}}]}}
  native: {{dialect: responses, base_url: "http://127.0.0.1:{port}/v1", allow_private: true, credentials: [{{name: main, secret: {{env: FAKE_KEY}}}}]}}
  signed: {{dialect: bedrock, base_url: "http://127.0.0.1:{port}/v1", allow_private: true, auth: sigv4, region: eu-central-1, auth_parameters: {{service: bedrock}}, credentials: [{{name: main, secret: {{env: FAKE_AWS}}}}]}}
  dead: {{dialect: openai, base_url: "http://127.0.0.1:1/v1", allow_private: true, auth: none}}
models:
  fast: fake/echo
  safe: {{deployments: [{{provider: dead, model: x}}, {{provider: fake, model: echo, tier: 2}}], breaker: {{failures: 1000, requests_min: 1000}}}}
  careful: {{deployments: [{{provider: fake, model: status-500}}, {{provider: fake, model: echo, tier: 2}}], retry: {{max: 0}}, breaker: {{failures: 1000, requests_min: 1000}}}}
  exact: {{deployments: [{{provider: claude, model: echo}}], strict: true}}
  hasty: {{deployments: [{{provider: fake, model: silent}}], timeouts: {{first_byte_s: 0.6}}}}
pricing:
  overrides:
    fake/echo: {{input_per_mtok: 0.15, output_per_mtok: 0.60}}
    fake/stream-20-0: {{input_per_mtok: 0.15, output_per_mtok: 0.60}}
{more}"""
