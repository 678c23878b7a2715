// What is asked of HemoStat, and when: a snapshot at each change that the stream of events tells, and every ten seconds.
// What is shown is live only while the stream is heard and the last snapshot came; otherwise the page says since when not.

import * as show from "./show.js";

const LOOK_MS = 10_000; // what no event tells: the pause, neighbours, backlogs
const TARGETS_MS = 15_000; // each target costs HemoStat a question to Docker
const SILENT_MS = 40_000; // the stream has a heartbeat every 15 s
const OLD_MS = 25_000; // from when a snapshot no longer counts as of now
const ANSWER_MS = 10_000;
const AGAIN_MS = 3_000; // after a snapshot that failed
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 15_000;
const TOKEN = "hemostat.token";
const PAGE = 50;

const by = (id) => document.getElementById(id);
const view = by("view");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const stream = { open: false, cutAt: 0, why: "", heard: 0, ending: null };
let limit = PAGE;
let locked = false;

// ---- asking ----

class Locked extends Error {} // only a token helps
class Refused extends Error {} // the same question will never be answered

async function reach(path, signal) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { headers, cache: "no-store", redirect: "error", signal }).catch((error) => {
    throw error instanceof TypeError ? new Error("HemoStat cannot be reached") : error;
  });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  const message = told?.error?.message ?? `HTTP status ${answer.status}`;
  if (answer.status === 401 || (answer.status === 403 && told?.error?.code === "forbidden")) {
    // A late no to the token before says nothing of the one given since.
    throw token === sessionStorage.getItem(TOKEN) ? new Locked(message) : new Error("another token was given meanwhile");
  }
  throw answer.status < 500 ? new Refused(message) : new Error(message);
}

async function ask(path) {
  return (await reach(path, AbortSignal.timeout(ANSWER_MS))).json();
}

function inWords(error) {
  return error.name === "TimeoutError" ? `no answer within ${ANSWER_MS / 1000} s` : error.message;
}

// ---- where the reader is: all of it is in the URL's hash ----

function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const [name, id] = path.split("/", 2);
  const asked = new URLSearchParams(query ?? "");
  if (name === "incident" && id) return { name, id: decodeURIComponent(id) };
  if (name === "targets") return { name };
  return { name: "incidents", outcome: asked.get("outcome") ?? "", state: asked.get("state") ?? "", target: asked.get("target") ?? "" };
}

function incidentsHash({ outcome, state, target }) {
  const query = new URLSearchParams(Object.entries({ outcome, state, target }).filter(([, value]) => value));
  return `#/incidents${query.size ? `?${query}` : ""}`;
}

async function snapshot(where) {
  if (where.name === "incident") return ask(`api/v1/incidents/${encodeURIComponent(where.id)}`);
  if (where.name === "targets") return ask("api/v1/targets");
  const { outcome, state, target } = where;
  const query = new URLSearchParams(Object.entries({ outcome, state, target, limit }).filter(([, value]) => value));
  return ask(`api/v1/incidents?${query}`);
}

function refusedOnly(error) {
  if (error instanceof Refused) return { refused: error.message };
  throw error;
}

// ---- looking ----

// One thing that is looked at again and again: at least each `gap()` milliseconds, and soon after whatever happens.
function looker(take, gap) {
  const me = { at: 0, failed: "", took: 0, busy: false, again: "", timer: 0, due: Infinity };
  me.soon = (ms = 0) => {
    // Never more than a fifth of the time is spent asking, however much happens and however slow the answers are.
    const due = Math.max(Date.now() + ms, me.at + Math.max(1000, 4 * me.took));
    if (me.due <= due) return;
    clearTimeout(me.timer);
    me.due = due;
    me.timer = setTimeout(() => me.look("soon"), due - Date.now());
  };
  me.look = async (again = "now") => {
    clearTimeout(me.timer);
    me.due = Infinity;
    if (me.busy) me.again = me.again === "now" ? "now" : again;
    if (me.busy || locked || document.hidden) return;
    me.busy = true;
    me.again = "";
    const begun = Date.now();
    try {
      await take();
      me.failed = "";
      me.at = Date.now();
      me.took = me.at - begun;
    } catch (error) {
      if (error instanceof Locked) turnedAway(error.message);
      else me.failed = inWords(error);
    }
    me.busy = false;
    tell();
    if (me.again === "now") me.look();
    else me.soon(me.failed ? AGAIN_MS : me.again ? 0 : gap());
  };
  return me;
}

// Apart from each other: a Docker that hangs makes the state slow to come, and no incident.
const state = looker(async () => {
  const [status, pause, storm, deliveries] = await Promise.all(["status", "pause", "storm", "deliveries"].map((name) => ask(`api/v1/${name}`)));
  show.setClock(status.now);
  show.place(by("state"), show.stateItems({ status, pause, storm, deliveries }));
}, () => LOOK_MS);

const main = looker(async () => {
  const hash = location.hash;
  const where = place();
  const found = await snapshot(where).catch(refusedOnly).catch((error) => {
    if (hash !== drawnHash) {
      draw(where, { refused: "Not known: HemoStat has not answered." }); // what was here before is something else
      drawnHash = null;
    }
    throw error;
  });
  if (hash !== location.hash) return;
  draw(where, found);
  drawnHash = hash;
}, () => (place().name === "targets" ? TARGETS_MS : LOOK_MS));

function look() {
  state.look();
  main.look();
}

// ---- drawing ----

let drawn = "";
let drawnHash = null;

function draw(where, found) {
  const kind = found.refused ?? (where.name === "incident" ? `incident ${where.id}` : where.name);
  if (drawn !== kind) {
    const frame = { incidents: incidentsFrame, targets: targetsFrame, incident: incidentFrame }[where.name];
    view.replaceChildren(...(found.refused ? refusedFrame(found.refused) : frame()));
    if (drawn) view.focus({ preventScroll: true });
    drawn = kind;
  }
  if (found.refused) return;
  if (where.name === "incident") return show.place(by("whole"), show.incidentItems(found));
  const rows = where.name === "targets" ? found.targets : found.incidents;
  const build = where.name === "targets" ? show.targetRow : show.incidentRow;
  const key = where.name === "targets" ? (row) => `${row.host}/${row.name}` : (row) => row.id;
  show.place(view.querySelector("tbody"), rows.map((row) => [key(row), row, build]));
  by("none").hidden = rows.length > 0;
  if (where.name === "incidents") {
    by("older").hidden = !found.cursor;
    fill(where);
  }
}

function choice(id, label, groups) {
  const options = (list) => list.map(([value, text]) => show.el("option", { value }, text));
  const select = show.el("select", { id }, show.el("option", { value: "" }, "everything"), groups.map(([name, list]) => show.el("optgroup", { label: name }, options(list))));
  return show.el("label", {}, label, select);
}

function incidentsFrame() {
  const outcomes = show.OUTCOME_OPTIONS.map(([value, text]) => [`outcome=${value}`, text]);
  const states = show.STATE_OPTIONS.map(([value, text]) => [`state=${value}`, text]);
  const which = choice("which", "Show", [["ended as", outcomes], ["under way", states]]);
  const target = show.el("input", { id: "target", type: "search", placeholder: "name or host/name", spellcheck: "false", autocomplete: "off" });
  const filters = show.el("form", { class: "filters", role: "search" }, which, show.el("label", {}, "Target", target), show.el("button", {}, "Filter"));
  const apply = (event) => {
    event.preventDefault();
    const [kind, value] = which.querySelector("select").value.split("=", 2);
    location.hash = incidentsHash({ [kind]: value, target: target.value.trim() });
  };
  filters.addEventListener("submit", apply);
  filters.addEventListener("change", apply);
  const older = show.el("button", { id: "older", class: "more", type: "button", hidden: "" }, "Show older ones");
  older.addEventListener("click", () => {
    limit = Math.min(1000, limit + PAGE);
    main.look();
  });
  return [filters, show.incidentsTable(), show.el("p", { id: "none", class: "aside", hidden: "" }, "No incident is on record here."), older];
}

function fill(where) {
  const which = by("which");
  const wanted = where.outcome ? `outcome=${where.outcome}` : where.state ? `state=${where.state}` : "";
  if (document.activeElement !== which) which.value = wanted;
  if (document.activeElement !== by("target")) by("target").value = where.target;
}

function targetsFrame() {
  const aside = "Whether cooldown, caps and breaker would let a repair through now. What else stands against one (opt-in, mode, maintenance) is asked at each incident.";
  return [show.el("p", { class: "aside" }, aside), show.targetsTable(), show.el("p", { id: "none", class: "aside", hidden: "" }, "No container was looked at yet.")];
}

function refusedFrame(why) {
  return [show.el("p", {}, show.el("a", { href: "#/incidents" }, "All incidents")), show.el("p", {}, why)];
}

function incidentFrame() {
  return [show.el("p", {}, show.el("a", { href: "#/incidents" }, "All incidents")), show.el("div", { id: "whole" })];
}

// ---- is it live ----

function tell() {
  if (locked) return;
  const now = Date.now();
  const at = Math.min(state.at, main.at);
  const failed = state.failed || main.failed;
  const old = failed || Math.abs(now - at) > OLD_MS; // also after the reader's machine slept
  document.body.classList.toggle("stale", Boolean(at && old));
  const why = stream.why || failed || (old && at ? "no answer came" : "");
  const live = stream.open && !old;
  by("cut").hidden = live || !why;
  document.title = live ? "HemoStat" : "not live · HemoStat";
  if (live || !why) return say(by("live"), live ? "live" : "connecting…", live ? "on" : "");
  const since = Math.min(stream.open ? now : stream.cutAt, old && at ? at : now);
  const shown = at ? `What is shown is as of ${show.clock(at)}.` : "Nothing could be shown yet.";
  say(by("cut-why"), `Not live since ${show.clock(since)}: ${why}. ${shown} Trying again by itself.`);
  say(by("cut-for"), `(${show.span(now - since)})`);
  say(by("live"), "not live", "off");
}

function say(node, text, kind = node.className) {
  if (node.className !== kind) node.className = kind;
  if (node.textContent !== text) node.textContent = text;
}

// ---- the stream: EventSource cannot send a token ----

async function follow() {
  let wait = FIRST_RETRY_MS;
  for (;;) {
    if (locked || document.hidden) {
      // A hidden tab holds no connection: a browser has six for each server.
      await sleep(200);
      continue;
    }
    try {
      stream.ending = new AbortController();
      stream.heard = Date.now();
      const answer = await reach("api/v1/events", stream.ending.signal);
      stream.open = true;
      stream.why = "";
      wait = FIRST_RETRY_MS;
      look();
      await read(answer.body.pipeThrough(new TextDecoderStream()).getReader());
      throw new Error("HemoStat ended the connection");
    } catch (error) {
      if (error instanceof Locked) turnedAway(error.message);
      const given = stream.ending.signal.aborted;
      if (stream.open || !stream.cutAt) stream.cutAt = given ? stream.heard : Date.now();
      stream.open = false;
      stream.why = given ? String(stream.ending.signal.reason) : inWords(error);
    }
    tell();
    look();
    await sleep(wait * (0.75 + Math.random() / 2)); // not all pages at once
    wait = Math.min(2 * wait, LAST_RETRY_MS);
  }
}

async function read(reader) {
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    stream.heard = Date.now();
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    blocks.forEach(heard);
  }
}

function heard(block) {
  if (block.startsWith(": the store does not answer")) return look();
  const data = block.split("\n").find((line) => line.startsWith("data: "));
  if (!data) return;
  const where = place();
  const { incident } = JSON.parse(data.slice(6));
  if (where.name === "incident" && incident !== where.id) return;
  if (where.name !== "targets") main.soon();
}

// ---- the token ----

// One no asks for a token. What the others say comes late: somebody may have read, since, what was wrong with the one given.
function turnedAway(why) {
  if (!locked) lock(why);
}

function lock(why) {
  locked = true;
  sessionStorage.removeItem(TOKEN);
  stream.ending?.abort("a token is needed");
  by("door-why").textContent = `HemoStat asks for a token of the role viewer or operator: ${why}.`;
  by("door").hidden = false;
  by("cut").hidden = view.hidden = by("state").hidden = true;
  say(by("live"), "a token is needed", "off");
  by("token").focus();
}

by("door").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = by("token").value.trim();
  by("token").value = "";
  if (!/^[!-~]+$/.test(token)) return lock("no token looks like that");
  sessionStorage.setItem(TOKEN, token);
  locked = false;
  by("door").hidden = true;
  view.hidden = by("state").hidden = false;
  look();
});

// ---- the course of things ----

function arrived() {
  const where = place();
  for (const [id, here] of [["tab-incidents", where.name === "incidents"], ["tab-targets", where.name === "targets"]]) {
    if (here) by(id).setAttribute("aria-current", "page");
    else by(id).removeAttribute("aria-current");
  }
  limit = PAGE;
  main.look();
}

window.addEventListener("hashchange", () => {
  arrived();
  scrollTo(0, 0);
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) stream.ending?.abort("this tab was in the background");
  else look();
});
setInterval(() => {
  if (stream.open && Date.now() - stream.heard > SILENT_MS) stream.ending.abort(`nothing was heard for ${SILENT_MS / 1000} s`);
  tell();
  show.refreshAgo();
}, 1000);

by("zone").textContent = `Times are ${Intl.DateTimeFormat().resolvedOptions().timeZone}; point at one for UTC.`;
view.replaceChildren();
state.look();
arrived();
follow();
