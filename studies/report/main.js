// What a reader has chosen, and all that follows from it.

const own = ownScenario();
const state = {
  scenario: own, found: ranked(own), before: ranked(own), across: "energy", frame: "close", selected: null,
  sort: { key: null, direction: 1 }, filter: "", onlyEligible: false, dominated: false,
};

function select(trial) {
  state.selected = trial;
  drawAll(state);
  markSelected(state);
  showDetail(state);
}

function rescored() {
  draw("front", state);
  showRanking(state);
  showDetail(state);
  showScenario(state);
}

if (table) {
  prepareRanking(state, () => showRanking(state));
  prepareScenario(state, rescored);
  for (const button of document.querySelectorAll("button[data-frame], button[data-across]")) {
    button.addEventListener("click", () => {
      const key = button.dataset.frame ? "frame" : "across";
      state[key] = button.dataset[key];
      for (const other of document.querySelectorAll(`button[data-${key}]`)) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      draw("front", state);
    });
  }
  for (const tools of document.querySelectorAll("figure .tools")) tools.hidden = false;
  state.selected = (state.found.named.greenest ?? state.found.front[0] ?? { trial: null }).trial;
  rescored();
}
drawAll(state);
darkness.addEventListener("change", () => drawAll(state));
addEventListener("beforeprint", () => {
  printing = true;
  drawAll(state);
});
addEventListener("afterprint", () => {
  printing = false;
  drawAll(state);
});
const format = { energy, mass, joules, seconds, count, chance, euro };
window.greenfront = { ranked, ownScenario, select, state, study, format };
