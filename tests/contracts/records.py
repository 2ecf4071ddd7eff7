"""Records of models, as a study leaves them and as only an exported file completes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from contracts.reports import study
from greenfront.objectives.outcome import Decisions
from greenfront.objectives.packaging.claims import Claims, Cost, Judged, Setting
from greenfront.objectives.readings import Reading
from greenfront.objectives.wrapping.labels import Labels
from greenfront.studies.export.facts import record_of
from greenfront.studies.export.record import Difference, Licence, ModelRecord, Score

UNKNOWN = Reading(None, None, None, "unavailable", "no instrument", 1.0, 1.0)


def stored(*, nasty: bool = False, kind: str = "modelled") -> ModelRecord:
    """The greenest model of a made-up study, as far as the study knows it."""
    view = study(nasty=nasty, kind="measured" if kind == "measured" else "modelled")
    greenest = view.front.greenest
    assert greenest is not None
    return record_of(view, greenest.trial)


def exported(*, nasty: bool = False, kind: str = "modelled") -> ModelRecord:
    """The same once its file was judged on the test split."""
    record = stored(nasty=nasty, kind=kind)
    base = record.baseline
    assert base is not None
    confusion = tuple(tuple(34 if i == j else i + j & 1 for j in range(10)) for i in range(10))
    decisions = Decisions(tuple(map(sum, zip(*confusion, strict=True))), None, confusion)
    test = Score(0.9694, 0.9510, 0.9848, 360, decisions, (36,) * 10)
    return replace(
        record,
        model=replace(record.model, test=test, file_sha256="ab" * 32, max_error=2e-6),
        baseline=replace(base, test=Score(0.975, 0.958, 0.989, 360)),
        test_difference=Difference(-0.0056, -0.0210, 0.0101),
        licence=Licence("apache-2.0", ("Trained from nothing.",)),
    )


def unmetered() -> ModelRecord:
    """A model of a study that no instrument metered."""
    record = stored()
    nothing = replace(record.model.answer, reading=UNKNOWN, co2_kg=None)
    model = replace(
        record.model,
        training=nothing,
        phases={"train": UNKNOWN},
        inference=nothing,
        answer=nothing,
        energy_kwh=None,
        co2_kg=None,
    )
    search = replace(
        record.search,
        kwh=None,
        low_kwh=None,
        high_kwh=None,
        co2_kg=None,
        kind="not metered",
        unmetered=record.search.trials,
    )
    return replace(record, model=model, baseline=None, search=search, break_even="no baseline")


def claimed(data: Path) -> Claims:
    """Of a model of tables that lie in some folder of this machine."""
    cost, score = Cost(UNKNOWN, 1e-5, None), Judged(0.9, 10)
    task = {"kind": "csv", "path": str(data / "a.csv"), "test_path": str(data / "b.csv")}
    return Claims(
        labels=Labels(("no", "yes")),
        validation=score,
        test=score,
        file_bytes=7,
        weights=3,
        operators={"Gemm": 1},
        cost=cost,
        plain_cost=cost,
        reference=UNKNOWN,
        study="wine",
        trial=0,
        candidate={},
        setting=Setting(task=task, metering={}, seed=0, threads=1, batch=1, metric="accuracy"),
        fingerprint="ab",
        baseline=None,
        processor="a processor",
        model_alone=UNKNOWN,
    )


RECORDS = {
    "stored": stored(),
    "exported": exported(),
    "measured": exported(kind="measured"),
    "nasty": exported(nasty=True),
    "unmetered": unmetered(),
}
