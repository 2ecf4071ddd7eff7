// The ranked table: sorted, filtered and scored anew; the same rows as Python has written.

const SHOWN = 300;
const table = document.getElementById("ranking");
const SORTED_BY = {
  rank: (row) => row.rank || Infinity,
  trial: (row) => row.trial,
  label: (row) => columns.label[row.index],
  score: (row) => -gain(row.score),
  energy: (row) => row.energy,
  co2: (row) => row.co2,
  green: (row) => -row.green,
  joules: (row) => columns.joules[row.index] ?? Infinity,
  latency: (row) => columns.latency[row.index],
  bytes: (row) => columns.bytes[row.index],
  within: (row) => -(row.within ?? -1),
  probability: (row) => -(row.probability ?? -1),
};

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function remarkOf(row) {
  const told = row.rank === 0 ? ["dominated"] : [];
  if (row.objection !== null) told.push(`not eligible: ${row.objection}`);
  const never = interned(columns.never, row.index);
  if (never !== null) told.push(never);
  return told.join("; ");
}

function rowElement(row, found) {
  const line = element("tr", "", {
    class: row.objection === null ? "eligible" : "ineligible", "data-trial": row.trial,
  });
  const number = (text) => line.append(element("td", text, { class: "number" }));
  number(row.rank ? `${row.tied ? "≈" : ""}${row.rank}` : UNAVAILABLE);
  const head = element("th", "", { scope: "row", class: "number" });
  head.append(element("button", String(row.trial), { type: "button", "aria-label": `Trial ${row.trial}: show it` }));
  line.append(head);
  const model = element("td", columns.label[row.index], { class: "model" });
  const names = found.names(row);
  if (found.baseline && row.trial === found.baseline.trial) names.push("baseline");
  for (const name of names) {
    model.append(" ", element("span", name, { class: `mark ${name === "baseline" ? "base" : "best"}` }));
  }
  const remark = remarkOf(row);
  if (remark) model.append(element("small", remark, { class: "remark" }));
  line.append(model);
  const [first, ...fixed] = columns.cells[row.index];
  for (const text of [first, energy(row.energy), mass(row.co2), count(row.green), ...fixed]) number(text);
  number(chance(row.within));
  number(chance(row.probability));
  return line;
}

function showRanking(state) {
  if (!table) return;
  const { found, sort, filter, onlyEligible, dominated } = state;
  const ranked = new Set(found.front.map((row) => row.trial));
  const others = dominated ? found.rows.filter((row) => !ranked.has(row.trial)) : [];
  let rows = [...found.front, ...others];
  if (onlyEligible) rows = rows.filter((row) => row.objection === null);
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  rows = rows.filter((row) => {
    const text = `trial ${row.trial} ${columns.label[row.index]} ${found.names(row)}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  if (sort.key) {
    const by = SORTED_BY[sort.key];
    const order = (a, b) => (a === b ? 0 : a < b ? -1 : 1);
    rows.sort((a, b) => sort.direction * order(by(a), by(b)) || a.trial - b.trial);
  }
  const shown = rows.slice(0, SHOWN);
  table.tBodies[0].replaceChildren(...shown.map((row) => rowElement(row, found)));
  table.tFoot?.remove();
  if (found.baseline && !ranked.has(found.baseline.trial) && !dominated) {
    table.createTFoot().append(rowElement(found.baseline, found));
  }
  const all = dominated ? found.rows.length : found.front.length;
  document.getElementById("shown").textContent = rows.length > shown.length
    ? `the first ${shown.length} of ${rows.length}` : `${rows.length} of ${all}`;
  for (const head of table.tHead.rows[0].cells) {
    if (!head.dataset.key) continue;
    const direction = head.dataset.key === sort.key ? (sort.direction > 0 ? "ascending" : "descending") : "none";
    head.setAttribute("aria-sort", direction);
  }
  markSelected(state);
}

function markSelected(state) {
  for (const line of table?.querySelectorAll("tr[data-trial]") ?? []) {
    const chosen = Number(line.dataset.trial) === state.selected;
    line.classList.toggle("selected", chosen);
    line.querySelector("button")?.setAttribute("aria-pressed", String(chosen));
  }
}

function prepareRanking(state, again) {
  for (const head of table.tHead.rows[0].cells) {
    if (!head.dataset.key) continue;
    const button = element("button", "", { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const same = state.sort.key === head.dataset.key;
      state.sort = { key: head.dataset.key, direction: same ? -state.sort.direction : 1 };
      again();
    });
  }
  table.addEventListener("click", (event) => {
    const line = event.target.closest("tr[data-trial]");
    if (line) select(Number(line.dataset.trial));
  });
  const on = (id, event, change) => document.getElementById(id).addEventListener(event, (happened) => {
    change(happened.target);
    again();
  });
  on("filter", "input", (input) => { state.filter = input.value; });
  on("only-eligible", "change", (input) => { state.onlyEligible = input.checked; });
  on("dominated", "change", (input) => { state.dominated = input.checked; });
  document.getElementById("table-tools").hidden = false;
}
