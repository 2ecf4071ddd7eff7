// Scoring a study anew from its stored readings: the same arithmetic, in the same order, as
// greenfront.objectives.scores and greenfront.studies.analysis.ranking.front, so that the same doubles come out.

const study = JSON.parse(document.getElementById("study").textContent);
const columns = study.columns;
const places = new Map(columns.trial.map((trial, index) => [trial, index]));
const rivalPlaces = new Map(study.rivals.trials.map((trial, index) => [trial, index]));

const interned = (column, index) => column.values[column.at[index]];
const gain = (score) => (study.metric.maximise ? -(study.metric.nothing - score) : -(score - study.metric.nothing));

/** The scenario that the study itself states. */
function ownScenario() {
  const { predictions, grams, makingGrams, region, pue, years, euro: price } = study.study;
  return { predictions, grams, makingGrams, region, pue, years, euro: price, own: true };
}

function co2Of(kwh, hours, grams, pue) {
  return kwh * pue * grams / 1000 + study.embodied * hours / study.shares;
}

function rowOf(index, scenario) {
  const { predictions, grams, makingGrams, pue } = scenario;
  const making = columns.making[index];
  const answer = columns.answer[index];
  const made = columns.makingHours ? columns.makingHours[index] : 0;
  const answered = columns.answerHours ? columns.answerHours[index] : 0;
  const co2 = co2Of(making, made, makingGrams, pue)
    + co2Of(predictions * answer, predictions * answered, grams, pue);
  return {
    index,
    trial: columns.trial[index],
    score: columns.score[index],
    energy: making + predictions * answer,
    co2,
    green: co2 > 0 ? columns.percent[index] / co2 : Infinity,
    objection: interned(columns.objection, index),
    rank: 0,
    within: null,
    probability: null,
    tied: false,
  };
}

function dominates(a, b) {
  const better = gain(a.score) - gain(b.score);
  return better >= 0 && a.energy <= b.energy && a.co2 <= b.co2
    && (better > 0 || a.energy < b.energy || a.co2 < b.co2);
}

/** The best by score; of equal ones that of least energy, of those the first. */
function mostAccurate(rows) {
  return rows.reduce((best, row) => {
    if (best === null) return row;
    const more = gain(row.score) - gain(best.score);
    return more > 0 || (more === 0 && row.energy < best.energy) ? row : best;
  }, null);
}

function kneeOf(rows) {
  const points = rows.filter((row) => gain(row.score) > 0 && row.energy > 0)
    .map((row) => ({ row, score: gain(row.score), cost: Math.log(row.energy) }));
  if (points.length < 3) return null;
  const high = points.reduce((a, b) => (b.score > a.score || (b.score === a.score && b.cost < a.cost) ? b : a));
  const low = points.reduce((a, b) => (b.cost < a.cost || (b.cost === a.cost && b.score > a.score) ? b : a));
  if (high.score <= low.score || high.cost <= low.cost) return null;
  const above = (point) =>
    (point.score - low.score) / (high.score - low.score) - (point.cost - low.cost) / (high.cost - low.cost);
  const knee = points.reduce((a, b) => (above(b) > above(a) ? b : a));
  return above(knee) > 1e-9 ? knee.row : null;
}

function breakEven(greenest, baseline) {
  if (greenest === null) return { verdict: "no eligible model", predictions: null };
  if (baseline === null) return { verdict: "no baseline", predictions: null };
  if (greenest.trial === baseline.trial) return { verdict: "best is baseline", predictions: null };
  if (study.spentKwh === null) return { verdict: "spending unknown", predictions: null };
  const saving = columns.answer[baseline.index] - columns.answer[greenest.index];
  if (!(saving > 0)) return { verdict: "never", predictions: null };
  return { verdict: "paid back", predictions: study.spentKwh / saving };
}

/** Every finished trial under a scenario, and the ranked front. */
function ranked(scenario) {
  const rows = columns.trial.map((_, index) => rowOf(index, scenario));
  const rivals = study.rivals.trials.map((trial) => rows[places.get(trial)]);
  const front = rivals.filter((row) => !rivals.some((other) => dominates(other, row)));
  const best = mostAccurate(rows.filter((row) => row.trial in study.rivals.within));
  for (const row of front) {
    row.within = study.rivals.within[best.trial][rivalPlaces.get(row.trial)];
    if (row.objection === null && row.within !== null && row.within < 0.5) {
      row.objection = `accurate enough in only ${chance(row.within)} of resamples of the examples`;
    }
  }
  const eligible = (row) => row.objection === null;
  front.sort((a, b) =>
    (eligible(b) - eligible(a)) || (b.green === a.green ? 0 : b.green - a.green)
    || (a.energy - b.energy) || (a.trial - b.trial));
  front.forEach((row, position) => {
    row.rank = position + 1;
    const measured = scenario.own ? study.front[row.trial] : undefined;
    if (measured) Object.assign(row, measured);
  });
  const greenest = front.find(eligible) ?? null;
  const baseline = mostAccurate(rows.filter((row) => columns.baseline[row.index]));
  const named = { greenest, "most accurate": mostAccurate(front), knee: kneeOf(front) };
  const names = (row) => Object.keys(named).filter((name) => row.rank && named[name]?.trial === row.trial);
  return { rows, front, named, names, baseline, breakEven: breakEven(greenest, baseline) };
}

/** A year of one model's predictions. */
function yearOf(row, scenario) {
  const kwh = scenario.predictions / scenario.years * columns.answer[row.index];
  const hours = columns.answerHours ? scenario.predictions / scenario.years * columns.answerHours[row.index] : 0;
  return {
    kwh,
    co2: co2Of(kwh, hours, scenario.grams, scenario.pue),
    euro: kwh * scenario.pue * scenario.euro,
  };
}
