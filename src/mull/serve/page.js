"use strict";
// Texts of models are only ever set as text, never as HTML.
const KEY = "mull-key";
const STOPPED = {
  complete: "it made all the draws that it plans",
  early: "it was sure enough before its last draw",
  budget: "a ceiling on calls, tokens or dollars was reached",
  deadline: "its seconds were over",
  exhausted: "the model has no more draws",
};
const has = (id) => document.getElementById(id);
let running = null;

// Characters that move others or cannot be seen, as their escapes; newlines and tabs stay.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
const visible = (text) => String(text).toWellFormed().replace(HIDDEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
const say = (id, text) => { has(id).textContent = visible(text); };
const number = (value) => (value === null || value === undefined ? "unknown" : value.toLocaleString("en"));

function make(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) node.setAttribute(name, value);
  node.append(...children.map((child) => (child instanceof Node ? child : visible(child))));
  return node;
}

async function call(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw Object.assign(new Error(told.error?.message ?? `the gateway answered ${response.status}`), { status: response.status });
}

function fail(error) {
  if (error.status === 401) return door(error.message);
  say("error", error.message);
  has("error").hidden = false;
}

function door(why) {
  const told = sessionStorage.getItem(KEY) !== null;
  sessionStorage.removeItem(KEY);
  for (const id of ["asking", "run", "past"]) has(id).hidden = true;
  has("door").hidden = false;
  has("error").hidden = !told;
  say("error", why);
  has("key").focus();
}

async function begin() {
  try {
    const names = (await (await call("v1/models")).json()).data.map((model) => model.id);
    names.sort((one, other) => other.includes("@") - one.includes("@"));
    has("model").replaceChildren(...names.map((name) => make("option", { value: name }, name)));
    for (const id of ["door", "error"]) has(id).hidden = true;
    has("asking").hidden = false;
    has("leave").hidden = sessionStorage.getItem(KEY) === null;
    has("question").focus();
    await past();
  } catch (error) {
    fail(error);
  }
}

async function past() {
  const runs = (await (await call("runs")).json()).data;
  has("past").hidden = runs.length === 0;
  has("runs").tBodies[0].replaceChildren(...runs.map(row));
}

function row(run) {
  // A form, since a link could send the key only in its address.
  const open = make("form", { method: "post", action: `runs/${encodeURIComponent(run.id)}`, target: "_blank" });
  const key = make("input", { type: "hidden", name: "key" });
  open.addEventListener("submit", () => { key.value = sessionStorage.getItem(KEY) ?? ""; });
  open.append(key, make("button", { title: "The whole run, in a new tab" }, run.question || "(no text)"));
  const cells = [open, run.answer ?? "no answer", run.model, number(run.draws), number(run.tokens), run.stopped];
  return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
}

function body() {
  const budget = {};
  for (const id of ["calls", "tokens", "seconds"]) if (has(id).value) budget[id] = Number(has(id).value);
  const told = {
    model: has("model").value,
    messages: [{ role: "user", content: has("question").value }],
    stream: true,
    stream_options: { include_usage: true },
    mull: { budget, return: ["events", "tally", "trace"] },
  };
  if (has("seed").value) told.seed = Number(has("seed").value);
  return JSON.stringify(told);
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) if (part.startsWith("data: ") && part !== "data: [DONE]") yield JSON.parse(part.slice(6));
  }
}

class View {
  constructor() {
    this.draws = new Map();
    this.votes = new Map();
    this.text = "";
    for (const id of ["draws", "votes"]) has(id).replaceChildren();
    for (const id of ["outcome", "vote-part", "draws-part", "error"]) has(id).hidden = true;
    for (const id of ["n-calls", "left-tokens", "strategy", "reply", "answer", "why", "chosen"]) say(id, "");
    for (const id of ["n-draws", "n-tokens"]) say(id, "0");
    say("usd", "unknown");
    say("n-seconds", "0.0");
    has("run").hidden = false;
    say("status", "Asked: waiting for the first draw.");
  }

  take(chunk) {
    if (chunk.error) throw new Error(chunk.error.message);
    const delta = chunk.choices[0]?.delta ?? {};
    if (delta.content || delta.refusal) {
      this.text += delta.content ?? delta.refusal;
      has("outcome").hidden = false;
      say("reply", this.text);
    }
    if (chunk.mull?.event) this.happened(chunk.mull.event);
    else if (chunk.mull) this.end(chunk.mull);
    if (chunk.usage) this.cost(chunk.usage.completion_tokens, chunk.usage.mull?.usd, chunk.usage.mull?.calls);
  }

  happened(event) {
    if (event.event === "draw") this.draw(event);
    else for (const verdict of event.verdicts) this.verdict(verdict);
    this.cost(event.spent.tokens, event.spent.usd, event.spent.calls);
    say("n-seconds", event.seconds.toFixed(1));
  }

  cost(tokens, usd, calls) {
    say("n-tokens", number(tokens));
    say("usd", usd === null || usd === undefined ? "unknown" : usd.toPrecision(3));
    if (calls !== undefined) say("n-calls", `${number(calls)} calls, judges included`);
  }

  draw(event) {
    const about = make("p", {}, make("b", {}, `Draw ${event.draw + 1}`), `: ${event.answer === null ? "no answer" : `answer ${event.answer}`}`);
    about.append(`, ${number(event.output_tokens)} tokens`, event.banked ? ", from the bank" : "");
    if (event.error !== null) about.append(visible(`, failed: ${event.error}`));
    const score = make("span");
    about.append(score);
    const text = make("pre", { tabindex: 0, "aria-label": `Text of draw ${event.draw + 1}` }, event.text);
    const item = make("li", {}, about, text);
    const parent = this.draws.get(event.goes_on_from);
    if (parent && !parent.children) parent.item.append((parent.children = make("ol")));
    (parent?.children ?? has("draws")).append(item);
    this.draws.set(event.draw, { item, score });
    has("draws-part").hidden = false;
    say("n-draws", number(this.draws.size));
    if (event.answer !== null) {
      this.votes.set(event.answer, (this.votes.get(event.answer) ?? 0) + 1);
      this.bars([...this.votes].sort((one, other) => other[1] - one[1]));
    }
    if (this.draws.size === 1 || this.draws.size % 5 === 0) say("status", `${this.draws.size} draws, ${this.leader()}.`);
  }

  leader() {
    const [answer, n] = [...this.votes].reduce((best, one) => (one[1] > best[1] ? one : best), [null, 0]);
    return answer === null ? "no answer yet" : `${answer} leads with ${n}`;
  }

  verdict(verdict) {
    const draw = this.draws.get(verdict.draw);
    if (draw && verdict.score !== null) draw.score.textContent = `, score ${verdict.score.toFixed(3)}`;
  }

  bars(rows, won = null) {
    const total = rows.reduce((sum, [, weight]) => sum + weight, 0);
    has("vote-part").hidden = rows.length === 0;
    has("votes").replaceChildren(...rows.slice(0, 20).flatMap(([answer, weight]) => {
      const bar = make("span", { class: answer === won ? "bar won" : "bar" });
      bar.style.width = `${total ? (100 * weight) / total : 0}%`;
      const label = `${Number(weight.toPrecision(3))}${answer === won ? ", chosen" : ""}`;
      return [make("dt", { title: answer.slice(0, 200), ...(answer === won ? { class: "yes" } : {}) }, answer), make("dd", {}, bar), make("dd", {}, label)];
    }));
  }

  end(mull) {
    const [told] = mull.answers;
    const sure = told.confidence === null ? "" : `, ${told.confidence_is} ${told.confidence.toFixed(2)}`;
    const isGiven = told.answer !== null && !told.abstained && !told.incomplete;
    has("outcome").className = `answer ${isGiven ? "given" : "missing"}`;
    say("chosen", `Chosen by ${told.chosen_by}${sure}`);
    say("answer", told.abstained ? "No answer is given" : told.answer ?? "The reply");
    say("why", `It stopped: ${STOPPED[told.stopped] ?? told.stopped}.${told.why ? ` Note: ${told.why}.` : ""}`);
    if (told.tally?.length) this.bars(told.tally, told.answer);
    say("left-tokens", mull.left.tokens === null ? "" : `${number(mull.left.tokens)} left of the ceiling`);
    say("strategy", `${mull.strategy ?? "no strategy"}, seed ${mull.seed}`);
    const draws = this.draws.size === 1 ? "1 draw" : `${this.draws.size} draws`;
    say("status", `Done after ${draws}: ${told.abstained ? "no answer is given" : told.answer ?? "no answer was chosen"}.`);
    this.isOver = true;
  }
}

// A disabled button would lose the focus of a keyboard.
function busy(is) {
  has("go").setAttribute("aria-disabled", is);
  if (!is && document.activeElement === has("stop")) has("go").focus();
  has("stop").disabled = !is;
}

async function ask(event) {
  event.preventDefault();
  if (running) return;
  running = new AbortController();
  busy(true);
  const view = new View();
  try {
    const headers = { "Content-Type": "application/json" };
    const response = await call("v1/chat/completions", { method: "POST", headers, body: body(), signal: running.signal });
    for await (const chunk of events(response)) view.take(chunk);
    if (!view.isOver) say("status", "Done: the model answered alone.");
    await past();
  } catch (error) {
    say("status", error.name === "AbortError" ? "You stopped it: what was in progress is cancelled." : "It failed.");
    if (error.name !== "AbortError") fail(error);
  } finally {
    running = null;
    busy(false);
  }
}

has("ask").addEventListener("submit", ask);
has("stop").addEventListener("click", () => running?.abort());
has("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) has("ask").requestSubmit();
});
has("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, has("key").value);
  has("key").value = "";
  begin();
});
has("leave").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  location.reload();
});
begin();
