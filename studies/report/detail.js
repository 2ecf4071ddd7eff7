// The selected trial: its numbers, how each was come by, and its settings.

function terms(list, entries) {
  for (const [name, value] of entries) list.append(element("dt", name), element("dd", value));
  return list;
}

function shownSetting(value) {
  if (value === null) return UNAVAILABLE;
  if (typeof value === "number" && !Number.isInteger(value)) return significant(value, 3);
  return String(value);
}

function showDetail(state) {
  const panel = document.getElementById("detail");
  if (!panel || state.selected === null) return;
  const { found } = state;
  const row = found.rows[places.get(state.selected)];
  const index = row.index;
  const names = [...found.names(row), ...(found.baseline?.trial === row.trial ? ["baseline"] : [])];
  const source = interned(columns.source, index);
  const [low, high] = columns.ends[index];
  const range = low === null ? "" : `, ${joules(low)} to ${joules(high)}`;
  const times = columns.measurements[index];
  const measured = times > 1 ? `; median of ${times} measurements` : "";
  const place = row.rank ? `rank ${row.rank}` : "dominated";
  const head = element("h3", `Trial ${row.trial}`);
  head.append(element("small", ` ${[place, ...names].join(" · ")}`));
  const facts = terms(element("dl", "", { class: "facts" }), [
    [study.metric.title, `${columns.cells[index][0]} (measured on the exported file)`],
    ["Energy", `${energy(row.energy)} (${study.kind}): making ${energy(columns.making[index])}, `
      + `a prediction ${joules(columns.answer[index] * 3.6e6)}`],
    ["CO₂", `${mass(row.co2)} (${study.kind})`],
    ["Green Score", `${count(row.green)} % per kg`],
    ["Prediction", `${joules(columns.joules[index])}${range} (${source}${measured})`],
    ["Preprocessing", columns.preprocessing[index] === null ? "not metered"
      : `${joules(columns.preprocessing[index])} of it (${study.kind})`],
    ["Latency", `${seconds(columns.latency[index])} (measured, median)`],
    ["File", `${columns.cells[index][3]}, ${count(columns.parameters[index])} parameters (counted)`],
    ["Pruned", `${chance(columns.pruned[index])} of the parameters (counted)`],
    ["Epochs", String(columns.epochs[index])],
    ["Within drop", `${chance(row.within)} of resamples`],
  ]);
  const making = terms(element("dl", "", { class: "facts" }), Object.entries(columns.phases)
    .map(([phase, column]) => [phase, interned(column, index)])
    .filter(([, kwh]) => kwh !== null)
    .map(([phase, kwh]) => [phase, `${energy(kwh)} (${study.kind})`]));
  const settings = terms(element("dl", "", { class: "facts" }), Object.entries(columns.settings)
    .map(([name, column]) => [name, interned(column, index)])
    .filter(([, value]) => value !== null)
    .map(([name, value]) => [name.replace(/^architecture\.shape\./, ""), shownSetting(value)]));
  const fold = (title, content, open) => {
    const made = element("details", "");
    if (open) made.open = true;
    made.append(element("summary", title), content);
    return made;
  };
  const was = [...panel.querySelectorAll("details")].map((one) => one.open);
  panel.replaceChildren(
    head,
    element("p", columns.label[index], { class: "label" }),
    ...(remarkOf(row) ? [element("p", remarkOf(row), { class: "hint" })] : []),
    facts,
    fold("Hyperparameters", settings, was[0]),
    fold("Energy of making it, by phase", making, was[1]),
  );
  panel.hidden = false;
}
