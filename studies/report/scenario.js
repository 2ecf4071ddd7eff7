// What if it ran elsewhere, or were used more often: the controls and what comes of them.

const form = document.getElementById("scenario");

function readScenario() {
  const own = ownScenario();
  const number = (name, low, high, fallback) => {
    const value = form.elements[name].valueAsNumber;
    return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : fallback;
  };
  const scenario = {
    ...own,
    predictions: number("predictions", 1, 1e15, own.predictions),
    pue: number("pue", 1, 10, own.pue),
    euro: number("euro", 0, 10, own.euro),
  };
  const region = study.regions[Number(form.elements.region.value)];
  if (form.elements.region.value !== "" && region) {
    [scenario.region, scenario.grams] = region;
    scenario.makingGrams = scenario.grams;
    scenario.named = true;
  }
  scenario.own = !scenario.named && scenario.predictions === own.predictions && scenario.pue === own.pue;
  return scenario;
}

function quoted(word) {
  return /^[\w.:-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function commandOf(scenario) {
  const own = ownScenario();
  const words = ["greenfront whatif", quoted(study.name)];
  if (scenario.named) words.push("--region", quoted(scenario.region));
  if (scenario.predictions !== own.predictions) words.push("--predictions", scenario.predictions);
  if (scenario.pue !== own.pue) words.push("--pue", scenario.pue);
  if (scenario.euro !== own.euro) words.push("--euro-per-kwh", scenario.euro);
  return words.join(" ");
}

function outcomeOf(scenario, found, before) {
  const { greenest } = found.named;
  if (greenest === null) return "No model is accurate enough.";
  const was = before.named.greenest;
  const same = was && was.trial === greenest.trial;
  const year = yearOf(greenest, scenario);
  const even = found.breakEven.predictions;
  const pays = even === null ? "" : even <= scenario.predictions
    ? ` The search pays for itself after ${count(even)} predictions.`
    : ` The search does not pay for itself: that would take ${count(even)} predictions.`;
  const order = (list) => list.map((row) => row.trial).join();
  const moved = order(found.front) === order(before.front) ? "the ranking stays as it is" : "the ranking changes";
  return `The greenest model ${same ? "stays" : "becomes"} trial ${greenest.trial}`
    + `${same || !was ? "" : ` instead of trial ${was.trial}`}; ${moved}. A year of its predictions takes `
    + `${energy(year.kwh)}, ${mass(year.co2)} of CO₂ and ${euro(year.euro)} of electricity `
    + `(${study.kind}; ${significant(scenario.grams, 3)} g per kWh).${pays}`;
}

function showScenario(state) {
  document.getElementById("outcome").textContent = outcomeOf(state.scenario, state.found, state.before);
  document.getElementById("command").textContent = commandOf(state.scenario);
}

function prepareScenario(state, again) {
  const own = ownScenario();
  study.regions.forEach(([name, grams], index) => {
    form.elements.region.append(element("option", `${name}: ${significant(grams, 3)} g per kWh`, { value: index }));
  });
  const pair = (name, toRange, fromRange) => {
    const field = form.elements[name], range = form.elements[`${name}-range`];
    field.addEventListener("input", () => { range.value = toRange(field.valueAsNumber); });
    range.addEventListener("input", () => { field.value = fromRange(Number(range.value)); });
    range.value = toRange(own[name]);
  };
  const fill = () => {
    form.elements.predictions.value = own.predictions;
    form.elements.pue.value = own.pue;
    form.elements.euro.value = own.euro;
    form.elements["predictions-range"].value = Math.log10(Math.max(1, own.predictions));
    form.elements["pue-range"].value = own.pue;
  };
  fill();
  pair("predictions", (value) => Math.log10(Math.max(1, value)), (power) => Math.round(10 ** power));
  pair("pue", (value) => value, (value) => value);
  const changed = () => {
    state.scenario = readScenario();
    state.found = ranked(state.scenario);
    again();
  };
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => {
    fill();
    changed();
  }));
  form.hidden = false;
}
