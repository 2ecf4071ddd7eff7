// Numbers for people: the same words as greenfront.studies.analysis.words.quantities writes.

const UNAVAILABLE = "–";
const WATT_HOURS = [[1e9, "GWh"], [1e6, "MWh"], [1e3, "kWh"], [1, "Wh"], [1e-3, "mWh"], [1e-6, "µWh"], [1e-9, "nWh"]];
const JOULES = [[1e9, "GJ"], [1e6, "MJ"], [1e3, "kJ"], [1, "J"], [1e-3, "mJ"], [1e-6, "µJ"], [1e-9, "nJ"]];
const GRAMS = [[1e9, "kt"], [1e6, "t"], [1e3, "kg"], [1, "g"], [1e-3, "mg"], [1e-6, "µg"], [1e-9, "ng"]];
const SECONDS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
const PLAIN = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];

function significant(value, digits) {
  const rounded = Number(value.toExponential(digits - 1));
  if (rounded === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(rounded)));
  if (exponent >= -4 && exponent < digits + 3) {
    return rounded.toFixed(Math.max(0, digits - 1 - exponent)).replace("-", "−");
  }
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  const sign = power[0];
  return `${mantissa}e${sign}${power.slice(1).padStart(2, "0")}`.replace(/^-/, "−");
}

function step(value, steps) {
  return steps.find(([factor]) => Math.abs(Number((value / factor).toExponential(2))) >= 1)
    ?? steps[steps.length - 1];
}

function scaled(value, steps, whole = false) {
  if (value === null || value === undefined || Number.isNaN(value)) return UNAVAILABLE;
  const base = steps.find(([factor]) => factor === 1)[1];
  if (!Number.isFinite(value)) return `${value > 0 ? "∞" : "−∞"} ${base}`.trim();
  if (value === 0) return `0 ${base}`.trim();
  const [factor, unit] = step(value, steps);
  const number = value / factor;
  const exact = whole && factor === 1 && Number.isInteger(number);
  return `${exact ? number.toFixed(0).replace("-", "−") : significant(number, 3)} ${unit}`.trim();
}

const energy = (kwh) => scaled(kwh === null ? null : kwh * 1000, WATT_HOURS);
const mass = (kg) => scaled(kg === null ? null : kg * 1000, GRAMS);
const joules = (value) => scaled(value, JOULES);
const seconds = (value) => scaled(value, SECONDS);
const count = (value) => scaled(value, PLAIN, true);

/** A probability in whole percent; halves go to the even one, as in Python. */
function chance(probability) {
  if (probability === null || probability === undefined) return UNAVAILABLE;
  const percent = probability * 100;
  const below = Math.floor(percent);
  const up = percent - below === 0.5 ? below % 2 === 1 : percent - below > 0.5;
  return `${up ? below + 1 : below}%`;
}

function euro(amount) {
  if (amount === null || Number.isNaN(amount)) return UNAVAILABLE;
  const grouped = (places) =>
    `€${amount.toLocaleString("en-US", {
      minimumFractionDigits: places, maximumFractionDigits: places, roundingMode: "halfEven",
    })}`;
  if (amount >= 1000 || amount === 0) return grouped(0);
  if (amount >= 0.01) return grouped(2);
  const places = 2 - Math.floor(Math.log10(amount));
  return places <= 9 ? `€${amount.toFixed(places)}` : "below €0.000000001";
}

/** The unit in which the largest of some values reads well, and the factor to it. */
function sharedScale(values, steps, perStored) {
  const largest = Math.max(0, ...values.filter(Number.isFinite).map((value) => Math.abs(value) * perStored));
  if (largest === 0) return { unit: steps.find(([factor]) => factor === 1)[1], factor: perStored };
  const [factor, unit] = step(largest, steps);
  return { unit, factor: perStored / factor };
}
