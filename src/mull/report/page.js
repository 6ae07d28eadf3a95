"use strict";
// Texts of models are only ever set as text, never as HTML.
const { groups, problems } = JSON.parse(document.getElementById("data").textContent);
const STEP = 20;
const names = [...new Set(groups.flatMap((group) => group.strategies))];
const has = (id) => document.getElementById(id);
const state = { sort: null, descending: false, shown: STEP, open: new Set() };

function make(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "class") node.className = value;
    else if (name === "onclick") node.addEventListener("click", value);
    else node.setAttribute(name, value);
  }
  node.append(...children.map((child) => (child === null || child === undefined ? "unknown" : child)));
  return node;
}

function solved(problem, name) {
  const place = groups[problem.g].strategies.indexOf(name);
  return place < 0 ? undefined : problem.solved[place];
}

const columns = [
  { title: "problem", value: (p) => p.id, cell: opener },
  ...(groups.length > 1 ? [{ title: "group", value: (p) => groups[p.g].name, cell: (p) => groups[p.g].name }] : []),
  ...(problems.some((p) => p.n !== null)
    ? [{ title: "right draws (oracle)", value: (p) => (p.n ? p.right / p.n : null), cell: (p) => (p.n ? `${p.right} of ${p.n}` : null) }]
    : []),
  ...names.map((name) => ({ title: name, value: (p) => solved(p, name) ?? null, cell: (p) => verdict(solved(p, name)) })),
];

function verdict(value) {
  if (value === undefined) return "–";
  if (value === null) return "unknown";
  if (value === 1 || value === true) return make("span", { class: "yes" }, "✓ right");
  if (value === 0 || value === false) return make("span", { class: "no" }, "✗ wrong");
  return `${(100 * value).toFixed(0)} %`;
}

function opener(problem) {
  const isOpen = state.open.has(problem);
  const button = make("button", { type: "button", class: "open", "aria-expanded": isOpen }, problem.id);
  button.addEventListener("click", () => {
    const row = button.closest("tr");
    if (state.open.delete(problem)) row.nextElementSibling.remove();
    else {
      state.open.add(problem);
      row.after(detail(problem));
    }
    button.setAttribute("aria-expanded", state.open.has(problem));
  });
  const cell = make("div", {}, button);
  if (problem.prompt && problem.prompt !== problem.id) cell.append(make("span", { class: "asked" }, problem.prompt.slice(0, 90)));
  return cell;
}

function small(head, rows) {
  const body = rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))));
  const heads = head.map((title) => make("th", { scope: "col" }, title));
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...body)));
}

const cutOff = (entry) => (entry.cut ? `\n… ${entry.cut.toLocaleString("en")} more characters are not on this page` : "");

function detail(problem) {
  const inside = make("div", { class: "inside" });
  inside.append(make("h3", {}, "Prompt"), make("pre", { tabindex: 0 }, (problem.prompt || "not recorded") + cutOff(problem)));
  if (problem.gold !== null) inside.append(make("p", {}, "Gold answer: ", make("code", {}, problem.gold)));
  const strategies = groups[problem.g].strategies;
  const taken = problem.taken.map((t, i) => t && [strategies[i], t[0] === null ? "no answer" : t[0], verdict(t[1]), t[2], t[4], t[3]]);
  if (taken.some(Boolean)) {
    inside.append(make("h3", {}, "What each strategy made of it"));
    inside.append(small(["strategy", "answer", "verdict", "draws", "tokens", "stopped"], taken.filter(Boolean)));
  }
  if (problem.tally.length) {
    const rows = problem.tally.map(([answer, n, right]) => {
      const bar = make("span", { class: "bar" });
      bar.style.width = `${(120 * n) / problem.n}px`;
      const share = right === null ? "–" : verdict(right);
      return [answer === null ? "no answer" : answer, `${n} of ${problem.n}`, bar, share];
    });
    inside.append(make("h3", {}, "Answers"), small(["answer", "draws", "", "verdict"], rows));
  }
  if (problem.samples.length) inside.append(make("h3", {}, `Draws (the first ${problem.samples.length} of ${problem.n})`));
  problem.samples.forEach((sample, i) => {
    const about = make("p", {}, `draw ${i}: `, verdict(sample.correct), `, answer ${sample.answer === null ? "none" : sample.answer}`);
    if (sample.score !== null) about.append(`, score ${sample.score}`);
    if (sample.tokens !== null) about.append(`, ${sample.tokens} tokens`);
    inside.append(make("div", { class: "draw" }, about, make("pre", { tabindex: 0 }, (sample.text || "(empty)") + cutOff(sample))));
  });
  return make("tr", { class: "detail" }, make("td", { colspan: columns.length }, inside));
}

const kinds = {
  all: () => true,
  never: (p) => p.n !== null && p.right === 0,
  lost: (p) => p.right > 0 && p.solved.every((value) => value !== null && value < 0.5),
  differ: (p) => p.solved.includes(0) && p.solved.includes(1),
};

function chosen() {
  const text = has("search").value.trim().toLowerCase();
  const group = has("group") ? has("group").value : "";
  const found = problems.filter(
    (p) =>
      kinds[has("kind").value](p) &&
      (group === "" || p.g === Number(group)) &&
      (!text || [p.id, p.prompt, p.gold ?? "", ...p.tally.map((row) => row[0] ?? "")].some((part) => part.toLowerCase().includes(text))),
  );
  if (state.sort === null) return found;
  const value = columns[state.sort].value;
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  // What is unknown comes last whichever way the rest is sorted.
  return found.sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return (state.descending ? -1 : 1) * (typeof x === "string" ? compare(x, y) : x - y);
  });
}

function show() {
  const found = chosen();
  const body = has("table").tBodies[0];
  body.replaceChildren();
  for (const problem of found.slice(0, state.shown)) {
    body.append(make("tr", {}, ...columns.map((column) => make("td", {}, column.cell(problem)))));
    if (state.open.has(problem)) body.append(detail(problem));
  }
  has("count").textContent = `${Math.min(state.shown, found.length)} of ${found.length} shown`;
  has("more").hidden = found.length <= state.shown;
}

function heads() {
  const row = make("tr");
  columns.forEach((column, i) => {
    const head = make("th", { scope: "col", "aria-sort": "none" });
    const sort = () => {
      state.descending = state.sort === i ? !state.descending : false;
      state.sort = i;
      [...row.cells].forEach((cell, j) => cell.setAttribute("aria-sort", j !== i ? "none" : state.descending ? "descending" : "ascending"));
      show();
    };
    head.append(make("button", { type: "button", onclick: sort }, column.title));
    row.append(head);
  });
  has("table").tHead.append(row);
}

heads();
show();
has("filter").addEventListener("input", () => {
  state.shown = STEP;
  show();
});
has("filter").addEventListener("submit", (event) => event.preventDefault());
has("more").addEventListener("click", () => {
  state.shown += STEP;
  show();
});
