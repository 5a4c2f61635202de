"""Starts what is measured, and reads what it used. Level 7."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from switchgear.testing.gateway import GatewayProcess, wait_for

ANSWER = (
    '{"id":"chatcmpl-bench","object":"chat.completion","created":1790000000,"model":"echo","choices":[{"index":0,'
    '"message":{"role":"assistant","content":"The cabinet switches, meters and protects."},"finish_reason":"stop"}],'
    '"usage":{"prompt_tokens":12,"completion_tokens":9,"total_tokens":21}}'
)
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes {workers}; worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 1000000000;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    {location}
  }}
}}
"""
PROXY = """location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }"""
UPSTREAM = "location / {{ default_type application/json; return 200 '{answer}'; }}"


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += tree(int(child))
    return found


def cpu_ns(pids: list[int]) -> int:
    """Return the CPU time of processes so far, all threads, in nanoseconds."""
    total = 0
    for pid in pids:
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            total += int(path.read_text().split()[0])
    return total


def pss_kib(pids: list[int]) -> int:
    """Return the proportional set size of processes in KiB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


class Nginx:
    """nginx, as a proxy or as the provider that answers at once."""

    def __init__(self, port: int, upstream: int | None, workers: int) -> None:
        self.port = port
        self._folder = Path(tempfile.mkdtemp(prefix="switchgear-bench-"))
        location = PROXY if upstream is not None else UPSTREAM.format(answer=ANSWER)
        text = NGINX.format(folder=self._folder, workers=workers, upstream=upstream or 9, port=port, location=location)
        (self._folder / "nginx.conf").write_text(text)
        self.process = subprocess.Popen(
            ["nginx", "-c", str(self._folder / "nginx.conf"), "-e", str(self._folder / "error.log")],
            stdin=subprocess.DEVNULL,
        )
        wait_for(port)

    def pids(self) -> list[int]:
        """The whole process tree."""
        return tree(self.process.pid)

    def stop(self) -> None:
        """End it and remove its folder."""
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)


DIALECTS = {"an": "anthropic", "ge": "gemini", "be": "bedrock"}
"""Providers of the benchmark that are asked in another dialect than the load's."""


def start_gateway(providers: dict[str, int], workers: int, folder: Path | None = None) -> GatewayProcess:
    """Start the gateway with everything on."""
    names = "\n".join(
        f"  {name}: {{dialect: {DIALECTS.get(name, 'openai')}, base_url: 'http://127.0.0.1:{port}/v1', allow_private: true,\n"
        "    credentials: [{name: c, secret: {env: BENCH_SECRET}, ceilings: {requests_per_s: 1000000, concurrency: 100000}}]}"
        for name, port in providers.items()
    )
    prices = "".join(f"    {name}/echo: {{input_per_mtok: 0.15, output_per_mtok: 0.60}}\n" for name in providers)
    config = f"providers:\n{names}\npricing:\n  overrides:\n{prices}"
    return GatewayProcess(
        config, folder=folder, workers=workers, environ={"BENCH_SECRET": "sk-bench-secret-0123456789"}
    )


def gateway_pids(gateway: GatewayProcess) -> list[int]:
    """The gateway's whole process tree."""
    assert gateway.process is not None
    return tree(gateway.process.pid)
