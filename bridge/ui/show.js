// How things look: values of the API in, elements out. Whatever comes from outside becomes a text node, nothing else.

const OUTCOMES = {
  healed: ["good", "healed"],
  not_healed: ["bad", "not healed"],
  relapsed: ["bad", "relapsed"],
  failed: ["bad", "failed"],
  escalated: ["bad", "escalated"],
  refused: ["ask", "refused"],
  unverified: ["unknown", "unverified"],
  no_action: ["calm", "no action"],
  resolved: ["calm", "resolved"],
};
const STATES = ["open", "waiting", "judged", "reserved", "acting", "verifying"];
const MODES = { auto: "repairs by itself (auto)", approve: "asks before each repair (approve)", observe: "only observes" };

let skew = 0; // by how much HemoStat's clock is ahead of the reader's, in milliseconds

export function setClock(now) {
  skew = now ? Date.parse(now) - Date.now() : 0;
}

// ---- elements ----

export function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) if (value != null) node.setAttribute(name, value);
  node.append(...children.flat(Infinity).filter((child) => child != null && child !== "").map((child) => (child instanceof Node ? child : visible(child))));
  return node;
}

// Characters that turn text around, hide in it or steer a terminal are shown as what they are: none of the text.
function visible(text) {
  return String(text).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "\ufffd");
}

const kept = new WeakMap();

// Makes `parent` hold what `items` say, each [key, data, build]. What has not changed stays the same element, so that
// focus, selection and scrolling survive.
export function place(parent, items) {
  const before = kept.get(parent) ?? new Map();
  const after = new Map();
  for (const [key, data, build] of items) {
    const text = JSON.stringify(data);
    const old = before.get(key);
    after.set(key, old?.text === text ? old : { text, node: build(data) });
  }
  kept.set(parent, after);
  const nodes = [...after.values()].map((one) => one.node);
  const stay = new Set(nodes);
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  for (const child of [...parent.childNodes]) if (!stay.has(child)) child.remove();
  nodes.forEach((node, n) => {
    if (parent.childNodes[n] !== node) parent.insertBefore(node, parent.childNodes[n] ?? null);
  });
  if (focused && !focused.isConnected) {
    const href = focused.getAttribute("href");
    [...parent.querySelectorAll("a[href]")].find((a) => a.getAttribute("href") === href)?.focus();
  }
  refreshAgo(parent);
}

// ---- times: the reader's zone, UTC in the title ----

const DAY = new Intl.DateTimeFormat(undefined, { day: "2-digit", month: "short" });
const YEAR = new Intl.DateTimeFormat(undefined, { day: "2-digit", month: "short", year: "numeric" });

export function clock(moment, fraction = 0) {
  return new Date(moment).toLocaleTimeString(undefined, {
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", ...(fraction && { fractionalSecondDigits: fraction }),
  });
}

export function when(text, fraction = 0) {
  const moment = Date.parse(text);
  if (Number.isNaN(moment)) return el("span", {}, text == null ? "unknown" : String(text));
  const date = new Date(moment);
  const now = new Date();
  const day = date.toDateString() === now.toDateString() ? "" : (date.getFullYear() === now.getFullYear() ? DAY : YEAR).format(date) + " ";
  const utc = date.toISOString().replace("T", " ").replace(/\.000Z$|Z$/, "") + " UTC";
  return el("time", { datetime: date.toISOString(), title: utc }, day + clock(moment, fraction));
}

function ago(text) {
  return el("span", { class: "ago", "data-ago": text });
}

export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} days`;
}

export function refreshAgo(root = document) {
  for (const node of root.querySelectorAll("[data-ago]")) {
    const away = Date.parse(node.dataset.ago) - Date.now() - skew;
    const text = away > 1000 ? `in ${span(away)}` : `${span(-away)} ago`;
    if (node.textContent !== text) node.textContent = text;
  }
}

// ---- words ----

function word(kind, text) {
  return el("span", { class: `word ${kind}` }, text);
}

function outcomeOf(incident) {
  if (incident.state === "closed") {
    const [kind, text] = Object.hasOwn(OUTCOMES, incident.outcome) ? OUTCOMES[incident.outcome] : ["unknown", `${incident.outcome ?? "unknown"}?`];
    return word(kind, text);
  }
  const refusals = incident.refusals ?? incident.decision?.refusals ?? [];
  if (incident.state === "waiting" && refusals.some((refusal) => refusal.reason === "approval_required")) return word("ask", "waits for approval");
  return STATES.includes(incident.state) ? word("busy", incident.state) : word("unknown", `${incident.state}?`);
}

function targetOf(incident) {
  if (incident.target) return `${incident.target.host}/${incident.target.name}`;
  const named = incident.subject?.kind !== "unknown" && (incident.subject?.name || incident.subject?.container_id);
  if (!named) return "no target named";
  return incident.state === "closed" ? `${named} (not found)` : named;
}

function refusalText(refusal) {
  return `${refusal.reason}: ${refusal.detail}`;
}

function sheet(pairs) {
  const rows = pairs.filter(([, value]) => value != null && value !== false && value !== "" && value.length !== 0);
  return el("dl", { class: "sheet" }, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, ...[value].flat())]));
}

function table(kind, heads, rows) {
  const head = el("thead", {}, el("tr", {}, heads.map((text) => el("th", { scope: "col" }, text))));
  return el("table", { class: kind }, head, el("tbody", {}, rows));
}

// ---- the state of the whole ----

export function stateItems({ status, pause, storm, deliveries }) {
  const items = [];
  if (pause.paused) items.push(["pause", pause, pauseNotice]);
  if (storm.storm) items.push(["storm", storm, stormNotice]);
  for (const suspect of storm.suspect) items.push([`share ${suspect.scope} ${suspect.host} ${suspect.name}`, suspect, shareNotice]);
  for (const channel of deliveries.deliveries) {
    if (channel.held_since || channel.dead) items.push([`told ${channel.channel}`, channel, deliveryNotice]);
  }
  const { now: _, ...standing } = status; // it changes at each look
  items.push(["facts", { status: standing, paused: pause.paused }, facts]);
  return items;
}

function pauseNotice(pause) {
  const end = pause.until ? ["until ", when(pause.until)] : ["until somebody resumes (hemostat resume)"];
  return el("p", { class: "notice ask" }, "PAUSED: nothing is repaired. Since ", when(pause.since), ` by ${pause.by}, `, ...end, pause.why ? `. Why: ${pause.why}` : "");
}

function stormNotice(storm) {
  return el("p", { class: "notice bad" }, `STORM (${storm.scope}): ${storm.incidents} incidents since `, when(storm.since));
}

function shareNotice(suspect) {
  const what = [suspect.scope, suspect.host, suspect.name].filter(Boolean).join(" ");
  return el("p", { class: "notice bad" }, `TOO MANY SICK AT ONCE: ${suspect.sick} of ${suspect.known} (${what}) since `, when(suspect.since), ". Nothing of them is repaired.");
}

function deliveryNotice(channel) {
  const waiting = channel.waiting + channel.under_way;
  if (channel.held_since) {
    return el("p", { class: "notice bad" }, `NOT TOLD: ${channel.channel} takes nothing since `, when(channel.held_since), `, ${waiting} waiting: ${channel.held_why}`);
  }
  const first = channel.given_up[0];
  return el("p", { class: "notice bad" }, `NOT TOLD: ${channel.channel} did not take ${channel.dead} incidents`, first ? `, such as ${first.incident_id}: ${first.error}` : "");
}

function facts({ status, paused }) {
  const fact = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, ...value));
  const routes = status.route_modes.length ? `, on some routes ${status.route_modes.join(", ")}` : "";
  const mode = (Object.hasOwn(MODES, status.mode) ? MODES[status.mode] : status.mode) + routes;
  const part = ([name, trouble]) => fact(name, ...(trouble == null ? [word("good", "well")] : [word("bad", "not well"), ` ${trouble}`]));
  const parts = Object.entries(status.parts);
  return el(
    "dl",
    { class: "facts" },
    fact("mode", ...(paused ? [word("ask", "paused"), ` else ${mode}`] : [mode])),
    fact("this process", status.ready ? word("good", "ready") : word("bad", "not ready")),
    ...parts.map(part),
    parts.some(([name]) => name === "alertmanager") ? null : fact("alertmanager", "not configured"),
    parts.some(([name]) => name.startsWith("docker/")) ? null : fact("docker", "looked at by the workers, not here"),
    fact("version", `${status.version}, up since `, when(status.started_at)),
  );
}

// ---- incidents ----

export function incidentRow(incident) {
  const names = [...new Set(incident.alert_names)].join(", ");
  const ends = incident.refusals.map((refusal) => refusal.until).filter(Boolean).sort();
  const until = incident.outcome === "refused" && ends.length ? el("span", { class: "ago" }, "until ", when(ends.at(-1))) : null;
  return el(
    "tr",
    {},
    el("td", { class: "tight" }, when(incident.opened_at), ago(incident.opened_at)),
    el("td", {}, outcomeOf(incident), until),
    el("td", {}, el("a", { class: "name", href: `#/incident/${encodeURIComponent(incident.id)}` }, targetOf(incident))),
    el("td", { "data-label": "Alert" }, names || "not known"),
    el("td", {}, incident.reason || incident.refusals.map(refusalText).join("; ")),
  );
}

export function incidentsTable() {
  return table("incidents", ["Opened", "State", "Target", "Alert", "Why"], []);
}

export const OUTCOME_OPTIONS = Object.entries(OUTCOMES).map(([name, [, text]]) => [name, text]);
export const STATE_OPTIONS = STATES.map((name) => [name, name]);

// ---- one incident ----

export function incidentItems(incident) {
  const { alerts, timeline, evidence, decision, audit } = incident;
  const cites = decision?.verdict.cites ?? [];
  const items = [["head", { ...incident, evidence: null, timeline: null, alerts: null }, head]];
  items.push(["timeline", timeline, timelineTable]);
  if (decision?.guards.length) items.push(["guards", decision.guards, guardsTable]);
  if (audit?.consultations.length) items.push(["model", audit.consultations, modelSection]);
  if (evidence) items.push(["evidence", { evidence, cites }, evidenceSection]);
  items.push(["alerts", alerts, alertsSection]);
  return items;
}

function section(title, ...content) {
  return el("section", {}, el("h2", {}, title), ...content);
}

function head(incident) {
  const { decision, proposal, intent, repair, finding } = incident;
  const verdict = decision?.verdict;
  const container = (id) => `container ${String(id).slice(0, 12)}`;
  const what = verdict && `${verdict.kind}${verdict.action ? ` (${verdict.action})` : ""} by ${verdict.source}, rule ${verdict.rule}${verdict.cites.length ? `, citing ${verdict.cites.join(", ")}` : ""}`;
  const refusals = (decision?.refusals ?? []).map((refusal) => el("div", {}, refusalText(refusal), refusal.until ? [", until ", when(refusal.until)] : ""));
  const watched = incident.watch_until && ["for a relapse until ", when(incident.watch_until)];
  return el(
    "div",
    {},
    el("h1", {}, outcomeOf(incident), " ", targetOf(incident)),
    el("p", {}, incident.reason || "nothing is decided yet"),
    section(
      "What was decided and done",
      sheet([
        ["incident", el("code", {}, incident.id)],
        ["opened", when(incident.opened_at)],
        ["closed", incident.closed_at && when(incident.closed_at)],
        ["verdict", what],
        ["because", verdict?.reason],
        ["refused", refusals],
        ["would", decision?.would && `${decision.would}, but for what refused it`],
        ["asked", proposal && [`whether to ${proposal.action} ${container(proposal.container_id)}, until `, when(proposal.until), proposal.answer ? "" : el("div", {}, el("code", {}, `hemostat approve ${incident.id}`), " or ", el("code", {}, `hemostat reject ${incident.id}`))]],
        ["answer", proposal?.answer && [`${proposal.answer} by ${proposal.answered_by}, `, when(proposal.answered_at)]],
        ["intent", intent && [`${intent.action} of ${container(intent.container_id)}, written `, when(intent.at, 3)]],
        ["repair", repair && [`${repair.action} of ${container(repair.container_id)}, `, when(repair.at, 3), repair.settled ? ", settled after a crash by what Docker says" : ""]],
        ["verification", finding ? [finding.text, finding.healthy_since ? [", well since ", when(finding.healthy_since)] : "", ", seen ", when(finding.at)].flat() : repair && "nothing was seen yet"],
        ["watched", watched],
        ["next look", incident.state !== "closed" && incident.look_again_at && when(incident.look_again_at)],
        ["suspect", incident.suspect && "the alert may be a late copy; it is checked before anything is done"],
      ]),
    ),
  );
}

function timelineTable(timeline) {
  const fields = (entry) => Object.entries(entry.fields).map(([name, value]) => `${name}: ${value}`).join(", ");
  const rows = timeline.map((entry) => el("tr", {}, el("td", { class: "tight" }, when(entry.at, 3)), el("td", { class: "name" }, entry.event), el("td", {}, fields(entry))));
  return section("Timeline", table("timeline", ["Time", "Event", "What"], rows));
}

function guardsTable(guards) {
  const inputs = (answer) => Object.entries(answer.inputs).map(([name, value]) => `${name}: ${value}`).join(", ");
  const row = (answer) => el("tr", {}, el("td", { class: "name" }, answer.guard), el("td", {}, answer.refusal ? word("ask", "refuses") : word("calm", "allows")), el("td", {}, answer.refusal ? [refusalText(answer.refusal), answer.refusal.until ? el("span", {}, ", until ", when(answer.refusal.until)) : ""] : ""), el("td", { "data-label": "Saw" }, inputs(answer)));
  return section("Guards", table("guards", ["Guard", "Answer", "Why", "What it saw"], guards.map(row)));
}

function modelSection(consultations) {
  const said = (asked) => sheet([
    ["model", `${asked.provider} ${asked.model}: ${asked.opinion?.said ?? "no answer"} (${asked.result}), ${asked.latency_seconds.toFixed(1)} s, $${asked.cost_usd.toFixed(4)}`],
    ["it says", asked.opinion && `${asked.opinion.cause}, confidence ${asked.opinion.confidence}: ${asked.opinion.summary}`],
    ["because", (asked.opinion?.claims ?? []).map((claim) => el("div", {}, `${claim.text} [${claim.cites.join(", ")}]`))],
    ["counts as", asked.opinion?.downgraded.length ? `${asked.opinion.verdict}: ${asked.opinion.downgraded.join("; ")}` : ""],
    ["problems", asked.problems.join("; ")],
  ]);
  return section("The model's opinion (it can only stop a repair)", ...consultations.map(said));
}

function evidenceSection({ evidence, cites }) {
  const c = evidence.container;
  const cited = new Set(cites);
  const join = (list, text) => list.map((one) => el("div", {}, text(one)));
  const percent = (measure, value) => (/share|pressure/.test(measure.name) ? `${(100 * value).toFixed(1)} %` : value.toPrecision(3));
  const lines = (title, list) => list.length ? el("details", {}, el("summary", {}, `${title} (${list.length})`), el("ul", { class: "lines mono" }, list.map((line) => el("li", { class: cited.has(line.id) ? "cited" : null }, el("span", { class: "id" }, `${line.id} `), line.text, line.count > 1 ? ` (${line.count} like it)` : "")))) : null;
  const block = section(
    "Evidence",
    sheet([
      ["collected", when(evidence.collected_at)],
      ["container", c ? `${c.name}, image ${c.image}` : "unknown"],
      ["state", c && `${c.status}, health ${c.health}${c.exit_code == null || c.status === "running" ? "" : `, exit code ${c.exit_code}`}${c.oom_killed ? ", killed for memory" : ""}${c.error ? `, ${c.error}` : ""}`],
      ["started", c?.started_at && [when(c.started_at), `, ${c.restart_count} restarts by its policy (${c.restart_policy || "none"})`]],
      ["figures", join(evidence.measures, (m) => `${m.name}: ${percent(m, m.last)} now, ${percent(m, m.mean)} mean, ${percent(m, m.max)} at most in 30 min`)],
      ["neighbours", join(evidence.neighbours, (n) => `${n.name}: ${n.status ?? "not there"}, health ${n.health}${n.dependency ? " (dependency)" : ""}`)],
      ["other alerts", evidence.related_alerts.length ? join(evidence.related_alerts, (a) => a.name ?? a.id) : ""],
      ["changes", evidence.changes.map((change) => el("div", {}, `${change.kind}, `, when(change.at)))],
      ["repaired before", evidence.past_repairs.map((past) => el("div", {}, `${past.action}: ${past.outcome}, `, when(past.at)))],
      ["the alert", [evidence.alert_active == null ? "not known to be active" : evidence.alert_active ? "active" : "not active", evidence.alert_silenced ? ", silenced" : ""].join("")],
      ["note", evidence.runbook],
      ["missing", join(evidence.gaps, (gap) => `${gap.source}: ${gap.reason}`)],
      ["redacted", Object.entries(evidence.redactions).map(([kind, count]) => `${count} ${kind}`).join(", ")],
    ]),
    lines("Log lines", evidence.log_lines),
    lines("Health checks", evidence.health_log),
  );
  for (const details of block.querySelectorAll("details")) details.open = details.querySelector(".cited") !== null;
  return block;
}

function alertsSection(alerts) {
  const pairs = (values) => Object.entries(values).map(([name, value]) => `${name}="${value}"`).join(", ");
  const one = (alert) => el("div", {}, sheet([
    ["alert", [alert.firing ? word("bad", "firing") : word("calm", "ended"), ` ${alert.labels.alertname ?? "without a name"}`]],
    ["since", when(alert.starts_at)],
    ["ended", alert.ends_at && when(alert.ends_at)],
    ["labels", el("span", { class: "mono" }, pairs(alert.labels))],
    ...Object.entries(alert.annotations),
  ]));
  return section("Alerts", ...alerts.map(one));
}

// ---- targets ----

export function targetRow(target) {
  const refusal = target.refusal;
  return el(
    "tr",
    {},
    el("td", {}, el("a", { class: "name", href: `#/incidents?target=${encodeURIComponent(`${target.host}/${target.name}`)}` }, `${target.host}/${target.name}`)),
    el("td", {}, target.may_repair ? word("good", "budget free") : word("ask", "not now")),
    el("td", {}, refusal ? refusalText(refusal) : ""),
    el("td", { "data-label": "Until" }, refusal ? (refusal.until ? [when(refusal.until), ago(refusal.until)] : "time alone does not help") : ""),
    el("td", { "data-label": "Repairs in the last hour" }, String(target.actions_last_hour)),
    el("td", { "data-label": "Last repair" }, target.last_action_at ? [when(target.last_action_at), ago(target.last_action_at)] : "none known"),
  );
}

export function targetsTable() {
  return table("targets", ["Target", "May be repaired now", "Why not", "Until", "In the last hour", "Last repair"], []);
}
