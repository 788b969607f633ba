// The page shows what the server's events say, and sends what the operator says. Text is only ever set as text.
"use strict";

const $ = (id) => document.getElementById(id);
const LOST_MS = 2000;  // without an event: the server itself is gone
let view = null, asked = "", touched = false, heard = 0;

function identity(request) {
  return request ? [request.kind, request.session, request.episode, request.attempt, request.question, request.words].join("|") : "";
}

async function say(path, body) {
  let reply;
  try {
    const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    reply = response.headers.get("Content-Type")?.includes("json") ? await response.json() : { message: await response.text() };
    if (reply.detail) reply = { accepted: false, message: reply.detail.map((d) => `${d.loc.join(".")}: ${d.msg}`).join("; ") };
  } catch (error) {
    reply = { accepted: false, message: "the panel's server does not answer: nothing was sent" };
  }
  $("reply").textContent = reply.message;
  $("reply").className = reply.accepted ? "good" : "bad";
}

function setReward(value) {
  touched = true;
  $("reward").value = value;
  $("value").textContent = Number($("reward").value).toFixed(2);
}

function chosen(name) {
  return document.querySelector(`input[name=${name}]:checked`)?.value ?? null;
}

function choose(name, value) {
  for (const input of document.querySelectorAll(`input[name=${name}]`)) input.checked = input.value === value;
}

function answer(voided) {
  const request = view?.request;
  if (!request || !view.alive || (voided && request.kind === "reset")) return;
  const body = { kind: request.kind, attempt: request.attempt, session: request.session, episode: request.episode, question: request.question, note: $("note").value, voided,
    success: { yes: true, no: false }[chosen("success")] ?? null };
  if (!voided && request.kind === "reward") {
    if (!touched) return complain("Set a score first.");
    body.reward = Number($("reward").value);
  }
  if (!voided && request.kind === "compare") {
    body.comparison = chosen("comparison");
    if (!body.comparison) return complain("Choose better, equal or worse first.");
  }
  say("api/answer", body);
}

function complain(words) {
  $("reply").textContent = words;
  $("reply").className = "bad";
}

function decide(decision) {
  const proposal = view?.proposal;
  if (view?.alive && proposal?.needs_answer) say("api/decide", { session: proposal.session, episode: proposal.episode, attempt: proposal.attempt,
    draw: proposal.draw, decision });
}

function command(name, sure) {
  if (!sure || window.confirm(sure)) say("api/control", { command: name });
}

function amend(episode) {
  const said = window.prompt(`New reward of episode ${episode + 1} from 0 to 1, or "void"`);
  if (said === null) return;
  const reward = said.trim() === "void" ? null : Number(said.replace(",", "."));
  if (reward !== null && !(reward >= 0 && reward <= 1)) return complain("A reward is a number from 0 to 1.");
  say("api/amend", { session: view.session.session, episode, reward, note: "amended on the web panel" });
}

function showPicture(name, version) {
  const image = $(name), there = view.alive && view.pictures.includes(name);
  const holder = image.closest("figure") ?? image;
  image.hidden = holder.hidden = !there;
  if (!there) delete image.dataset.version;
  if (there && image.dataset.version !== String(version)) {
    image.dataset.version = String(version);
    image.src = `api/picture/${name}?v=${version}`;
  }
}

function showRequest() {
  if (!view.alive) {  // a short silence leaves what was set
    $("answer").hidden = true;
    return;
  }
  const request = view.request, now = identity(request);
  $("answer").hidden = !request;
  if (now === asked) return;
  asked = now;
  $("question").textContent = request ? request.words : "Nothing is asked of you now.";
  if (!request) return;
  $("score").hidden = $("tenths").hidden = request.kind !== "reward";
  $("comparison").hidden = request.kind !== "compare";
  $("success").hidden = $("void").hidden = request.kind === "reset";
  $("submit").textContent = request.kind === "reset" ? "The scene is ready (Enter)" : "Submit (Enter)";
  $("note").value = "";
  choose("success", "");
  choose("comparison", "none");
  $("reward").value = request.suggested ?? 0.5;
  touched = request.suggested !== null;
  $("value").textContent = touched ? Number($("reward").value).toFixed(2) : "-";
}

function showSession() {
  const session = view.session, running = session && session.state !== "idle" && session.state !== "";
  const status = $("status");
  status.className = !view.alive ? "lost" : running ? "running" : "idle";
  if (!view.alive) status.textContent = "The graph is lost or not started; what is shown may be old.";
  else if (!running) status.textContent = "The graph is idle: start a session with `deft finetune TASK`";
  else status.textContent = [`${session.task}, ${session.method}: episode ${session.episode + 1} of ${session.episodes}`,
    session.state.replaceAll("_", " ") + (session.message ? ` (${session.message})` : ""),
    `best ${session.best_reward === null ? "-" : session.best_reward.toFixed(2)}`, `${session.left} left`].join("  |  ");
  const rows = session ? session.rows : [], key = JSON.stringify(rows);
  if (key === $("rows").dataset.key) return;
  $("rows").dataset.key = key;
  $("rows").replaceChildren(...rows.toReversed().map((row) => {
    const line = document.createElement("tr");
    if (row.elite) line.className = "elite";
    for (const text of [row.episode + 1, row.status, row.reward === null ? "" : row.reward.toFixed(2),
      { true: "yes", false: "no" }[row.success] ?? ""]) {
      line.insertCell().textContent = text;
    }
    const button = document.createElement("button");
    button.textContent = "amend";
    button.addEventListener("click", () => amend(row.episode));
    line.insertCell().append(button);
    return line;
  }));
  for (const name of ["curve", "residuals"]) {
    $(name).hidden = rows.length === 0;
    if (rows.length) $(name).src = `api/plot/${name}?v=${view.version}`;
  }
}

function show(now) {
  view = now;
  heard = Date.now();
  showSession();
  showRequest();
  const proposal = view.alive ? view.proposal : null;
  $("proposal-words").textContent = proposal ? proposal.words : "No grasp is planned.";
  $("decisions").hidden = !proposal?.needs_answer;
  showPicture("proposal", proposal ? `${proposal.session}-${proposal.episode}-${proposal.attempt}-${proposal.draw}` : "none");
  showPicture("affordance", view.version);
  for (const name of ["before", "end", "after", "other"]) showPicture(name, asked);
}

function lost() {
  if (view && Date.now() - heard > LOST_MS) {
    view.alive = false;
    showSession();
    showRequest();
    $("status").textContent = "The panel's server does not answer; trying again.";
  }
}

$("reward").addEventListener("input", () => setReward($("reward").value));
$("answer").addEventListener("submit", (event) => { event.preventDefault(); answer(false); });
$("void").addEventListener("click", () => answer(true));
for (let k = 0; k <= 10; k += 1) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = (k / 10).toFixed(1);
  button.addEventListener("click", () => setReward(k / 10));
  $("tenths").append(button);
}
for (const button of document.querySelectorAll("[data-command]")) {
  button.addEventListener("click", () => command(button.dataset.command, button.dataset.sure));
}
for (const button of document.querySelectorAll("[data-decision]")) {
  button.addEventListener("click", () => decide(button.dataset.decision));
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { command("stop"); return; }
  if (event.repeat) return;  // a key that is held down is one answer
  if (event.target.id === "note" || event.ctrlKey || event.altKey || event.metaKey) return;
  const key = event.key.toLowerCase();
  if (/^[0-9]$/.test(key)) setReward(Number(key) / 10);
  else if (key === "x") setReward(1);
  else if (key === "y" || key === "n") choose("success", key === "y" ? "yes" : "no");
  else if ("bew".includes(key)) choose("comparison", { b: "better", e: "equal", w: "worse" }[key]);
  else if (key === "v") answer(true);
  else if (key === "a") decide("approve");
  else if (key === "r") decide("reject");
  else if (key === "p") command("pause");
  else if (key === "g") command("go_on");
  else if (event.key === "Enter" && event.target.tagName !== "BUTTON" && event.target.tagName !== "INPUT") answer(false);
  else return;
});

const events = new EventSource("api/events");
events.onmessage = (event) => show(JSON.parse(event.data));
setInterval(lost, 500);
setInterval(() => {  // the live picture, asked for again when the last one has come
  const image = $("camera");
  if (!view?.alive || !view.pictures.includes("camera")) { image.hidden = true; return; }
  if (!image.hidden && !image.complete) return;
  image.hidden = false;
  image.src = `api/picture/camera?t=${Date.now()}`;
}, 400);
