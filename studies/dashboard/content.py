"""What is laid over a study in the dashboard: figures, notes, and files to look at."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import optuna
import optuna_dashboard
from optuna.storages import BaseStorage

from greenfront.errors import StorageError
from greenfront.objectives.scores import objective_names
from greenfront.studies.analysis.choosing.advice import advice
from greenfront.studies.analysis.ranking.front import ScoredTrial
from greenfront.studies.analysis.report_data import ReportData
from greenfront.studies.analysis.view import StudyView
from greenfront.studies.analysis.words import quantities
from greenfront.studies.analysis.words.metric_words import score
from greenfront.studies.analysis.words.wording import break_even_sentence
from greenfront.studies.dashboard.overlay import Overlay
from greenfront.studies.report.figures import figures

__all__ = ["Artefacts", "cover"]

METRIC_NAMES = "study:metric_names"
"""Where Optuna keeps them; its function for it is experimental and says so at each call."""

MOST_NOTED = 300
"""Trials with a note and a file: the front first, then the latest."""


@dataclass
class Artefacts:
    """Exported files where the cache keeps them; Optuna's artefact store, for reading alone.

    Attributes:
        paths: From a file's identity to where it lies.
    """

    paths: dict[str, Path] = field(default_factory=dict)

    def open_reader(self, artifact_id: str) -> Any:
        """Opens a file; Optuna's own error where it is gone."""
        path = self.paths.get(artifact_id)
        if path is None or not path.is_file():
            raise optuna.artifacts.exceptions.ArtifactNotFound("not in the cache any more")
        return path.open("rb")

    def write(self, _artifact_id: str, _content_body: Any) -> None:
        """Refused."""
        raise StorageError("the dashboard only shows")

    def remove(self, _artifact_id: str) -> None:
        """Refused."""
        raise StorageError("the dashboard only shows")


@dataclass(frozen=True, slots=True)
class _Noted:
    """What optuna-dashboard asks of a trial that a note is for.

    One of Optuna's own would have its sampler begin to suggest.
    """

    storage: BaseStorage
    study: optuna.Study
    _trial_id: int


def cover(overlay: Overlay, found: ReportData, artefacts: Artefacts) -> None:
    """Lays a study's figures, notes and files over it, in place of those of before.

    Args:
        overlay: Over the storage of the study.
        found: The study.
        artefacts: Learns where the files lie.
    """
    view = found.view
    study_id = overlay.get_study_id_from_name(view.name)
    identities = {
        trial.number: trial._trial_id for trial in overlay.get_all_trials(study_id, deepcopy=False)
    }
    # What optuna-dashboard writes for them is made in a study in memory, and laid over at once.
    scratch = optuna.storages.InMemoryStorage()
    made = scratch.create_new_study(overlay.get_study_directions(study_id), view.name)
    scratch.set_study_system_attr(made, METRIC_NAMES, list(objective_names(view.metric)))
    study = optuna.load_study(study_name=view.name, storage=scratch)
    for each in figures(found).values():
        room = each.figure.layout.margin.t or 0
        titled = each.figure.update_layout(title={"text": each.title}, margin={"t": 40 + room})
        optuna_dashboard.save_plotly_graph_object(study, titled, graph_object_id=each.name)
    optuna_dashboard.save_note(study, _study_note(view))
    root = Path(view.file.study.cache) / "lineage"
    for row in _noted(view):
        trial_id = identities.get(row.trial)
        if trial_id is None:
            continue
        told: Any = _Noted(scratch, study, trial_id)
        optuna_dashboard.save_note(told, _trial_note(view, row))
        path = root / row.outcome.artefact
        if path.is_file():
            identity = str(uuid5(NAMESPACE_URL, f"{study_id}/{trial_id}/{path}"))
            artefacts.paths[identity] = path
            scratch.set_study_system_attr(
                made,
                f"dashboard:artifacts:{trial_id}:{identity}",
                json.dumps(
                    {
                        "artifact_id": identity,
                        "filename": path.name,
                        "mimetype": "application/octet-stream",
                        "encoding": None,
                    }
                ),
            )
    overlay.lay(study_id, scratch.get_study_system_attrs(made))


def _noted(view: StudyView) -> list[ScoredTrial]:
    ranked = {row.trial for row in view.front.rows}
    others = [row for row in view.complete if row.trial not in ranked]
    return [*view.front.rows, *reversed(others)][:MOST_NOTED]


def _study_note(view: StudyView) -> str:
    lines = [f"- {_plain(line)}" for line in advice(view)] if view.front.rows else []
    spent, kind = view.spent, view.kind
    pays = break_even_sentence(view.break_even, view.scoring.predictions, kind)
    return "\n".join(
        [
            f"## {_plain(view.name)}",
            f"{len(view.complete)} of {len(view.trials)} trials complete; spent "
            f"{quantities.energy(spent.shown_kwh[0])} ({kind}), {quantities.mass(spent.co2_kg)} "
            "CO₂.",
            "",
            *lines,
            f"- {_plain(pays)}",
            "",
            "Written by greenfront and kept in memory: the dashboard only shows.",
        ]
    )


def _trial_note(view: StudyView, row: ScoredTrial) -> str:
    outcome = row.outcome
    place = f"rank {row.rank} of the front" if row.rank else "dominated"
    names = ", ".join(view.front.names(row)) if row.rank else ""
    told = [
        f"**{_plain(row.candidate.describe())}**",
        "",
        f"- {place}{f': {names}' if names else ''}",
        f"- {view.metric.title} {score(view.metric, row.score)}",
        f"- energy {quantities.energy(row.energy_kwh)} ({view.kind}), CO₂ "
        f"{quantities.mass(row.co2_kg)}, Green Score {quantities.count(row.green_score)}",
        f"- a prediction {quantities.joules(outcome.answer.joules)} ({outcome.inference.kind}), "
        f"{quantities.seconds(outcome.latency_seconds)}, file "
        f"{quantities.size(outcome.artefact_bytes)}",
    ]
    if row.objection:
        told.append(f"- not eligible: {_plain(row.objection)}")
    return "\n".join(told)


def _plain(text: str) -> str:
    """Text that Markdown takes for nothing else."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&])", r"\\\1", text)
