"use strict";
const text = (id, value) => { document.getElementById(id).textContent = value; };

async function api(path, options = {}) {
  const token = sessionStorage.getItem("switchgear");
  const headers = { ...(options.headers || {}), ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(`/api/v1${path}`, { ...options, headers });
  const body = await response.json();
  if (!response.ok) throw new Error(`${body.error} ${body.hint}`.trim());
  return body;
}

function row(cells) {
  const line = document.createElement("tr");
  for (const cell of cells) {
    const field = document.createElement("td");
    field.textContent = cell === null || cell === undefined ? "–" : String(cell);
    if (typeof cell === "number") field.className = "number";
    line.append(field);
  }
  return line;
}

const usd = (nano) => (nano === null ? null : (nano / 1e9).toFixed(6));

async function show() {
  const status = await api("/status");
  text("state", `${status.version} · ${status.state}`);
  const usage = await api(`/usage?by=model&since_ms=${Date.now() - 86400000}`);
  document.getElementById("usage").replaceChildren(...usage.rows.map((r) =>
    row([r.group.model, r.requests, r.input_tokens, r.output_tokens, usd(r.cost_nanousd)])));
  const log = await api("/log?limit=20");
  document.getElementById("log").replaceChildren(...log.records.map((r) =>
    row([r.time, r.key && r.key.name, r.model, r.outcome, r.latency_ms === null ? null : `${r.latency_ms} ms`, usd(r.cost_nanousd)])));
  document.getElementById("content").hidden = false;
  text("message", "");
}

async function main() {
  try {
    if (location.pathname === "/setup" && location.hash.length > 1) {
      const token = location.hash.slice(1);
      history.replaceState(null, "", "/");
      const body = await api("/setup", { method: "POST", body: JSON.stringify({ token }) });
      sessionStorage.setItem("switchgear", body.token);
    }
    await show();
    setInterval(() => show().catch((error) => text("message", error.message)), 3000);
  } catch (error) {
    text("message", `${error.message} — a sign-in link: switchgear admin link`);
  }
}
main();
