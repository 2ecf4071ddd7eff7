from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from contracts.mutations import mutated, profile
from greenfront.errors import StudyFileError
from greenfront.objectives.carbon.intensity import region_intensity, world_average
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.studies.config.budget import Budget
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.presets.compose import compose

TASK = '[task]\nkind = "digits"\n'


def read(folder: Path, text: str) -> StudyFile:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return StudyFile.read(path)


def study(**sections: dict[str, Any]) -> StudyFile:
    return StudyFile.from_stored({"task": {"kind": "digits"}, **sections})


# --- what is read --------------------------------------------------------------------------------


def test_everything_but_the_task_has_a_default(tmp_path: Path) -> None:
    assert read(tmp_path, TASK).to_json() == {
        "study": {
            **{"name": "study", "storage": "sqlite:///greenfront.db", "patience_minutes": 10.0},
            **{"cache": ".greenfront", "cache_gb": None, "shared_cache": None},
            **{"seed": 0, "threads": 1, "defaults": 3},
        },
        "task": {
            **{"kind": "digits", "path": None, "target": None, "drop_columns": []},
            **{"image_size": None, "channels": None, "text_column": None},
            **{"image_column": None, "subset": None, "eval_fraction": 1.0},
            **{"validation_fraction": 0.2, "test_fraction": 0.2},
            **{"test_path": None, "split_column": None, "background": None},
            **{"keep_columns": [], "columns": None, "encoding": None, "target_kind": None},
        },
        "space": {
            **{
                "architectures": None,
                "references": None,
                "ensemble": True,
                "pruning": [0.0, 0.8],
                "bits": [32, 16, 8],
            },
            **{"pruning_scope": ["uniform"], "importance": ["magnitude"], "gradual": [False]},
            **{"quantization_aware": [False], "sparsity": [0.0, 0.0]},
            **{"temperature": None, "distillation_weight": [0.5, 0.9], "teacher": None},
            "hidden_weight": [0.0, 0.0],
        },
        "training": {
            **{"device": "auto", "epochs": None, "fine_tune_epochs": None, "patience": None},
            **{"optimizer": ["adamw", "sgd"], "learning_rate": None, "sgd_learning_rate": None},
            **{"batch_size": [32, 64, 128], "mixed_precision": "auto"},
            **{"augmentation": None, "layer_decay": [1.0], "compile": "never"},
            **{"label_smoothing": [0.0], "mixup": [0.0], "average_weights": [False]},
            **{"class_weights": ["none"], "loss": ["mse"], "adaptive": False},
        },
        "objectives": {
            **{"metric": None, "positive": None, "threshold": "auto"},
            **{"predictions": 1_000_000.0, "max_drop": 0.01, "floor": None},
            **{"search": "pareto", "weights": [1.0, 1.0, 1.0]},
            **{"batch": 1, "device": "cpu", "repeats": 3, "folds": "auto", "torch_file": False},
        },
        "operation": {"years": 1.0, "euro_per_kwh": 0.19},
        "carbon": {
            **{"region": None, "g_per_kwh": None, "pue": 1.0},
            **{"trace": None, "factors": "life-cycle", "live": None, "zone": None},
            **{"embodied": None, "embodied_kg_per_device_hour": 0.0, "device_threads": None},
            **{"schedule": "now", "deadline_hours": None, "pause_above": None, "throughput": None},
            **{"replay_start": None, "replay_speed": 1.0},
        },
        "metering": {
            **{"cpu": "auto", "dram": "auto", "gpu": "auto"},
            **{"watts_per_thread": None, "watts_per_gb": None},
            **{"idle_watts": None, "dram_idle_watts": None, "gpu_idle_watts": None},
            **{"machines": "alike", "block_seconds": 0.01},
        },
        "search": {
            **{"sampler": "nsga2", "population": None, "workers": 1},
            **{"warm_start": None, "stop_hopeless": True, "stop_below": "worth"},
        },
        "budget": {"trials": 40, "kwh": None, "co2_kg": None, "minutes": None},
        "limits": {
            **{"trial_minutes": 30.0, "import_seconds": 120.0, "memory_gb": None},
            **{"inference_joules": None, "latency_seconds": None, "artefact_bytes": None},
        },
        "targets": {"energy_reduction": None, "accuracy_drop": None, "latency_seconds": None}
        | {"size_bytes": None, "share": 0.25},
    }


def test_single_values_stand_for_lists_and_ranges(tmp_path: Path) -> None:
    file = read(
        tmp_path,
        TASK + '[space]\narchitectures = "mlp"\npruning = 0.5\nbits = 8\ntemperature = 4\n'
        '[training]\npatience = 0\noptimizer = "sgd"\nlearning_rate = 0.01\nbatch_size = 2\n'
        "mixed_precision = true\n",
    )
    assert file.space.architectures == ("mlp",)
    assert (file.space.pruning, file.space.temperature) == ((0.5, 0.5), (4.0, 4.0))
    assert (file.space.bits, file.training.patience) == ((8,), (0,))
    assert (file.training.optimizer, file.training.batch_size) == (("sgd",), (2,))
    assert (file.training.learning_rate, file.training.mixed_precision) == ((0.01, 0.01), (True,))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("data.csv", "{folder}/data.csv"),
        ("../data.csv", "{parent}/data.csv"),
        ("/data/data.csv", "/data/data.csv"),
    ],
)
def test_data_paths_are_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, expected: str
) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    (folder / "study.toml").write_text(f'[task]\nkind = "csv"\npath = "{written}"\ntarget = "c"\n')
    file = StudyFile.read(Path("studies/study.toml"))
    assert file.task.path == expected.format(folder=folder.resolve(), parent=tmp_path.resolve())


def test_sections_become_what_others_take(tmp_path: Path) -> None:
    file = read(
        tmp_path,
        '[task]\nkind = "csv"\npath = "/d.csv"\ntarget = "c"\ndrop_columns = ["id"]\n'
        "validation_fraction = 0.1\ntest_fraction = 0.3\n"
        "[carbon]\ng_per_kwh = 56\npue = 1.5\nembodied_kg_per_device_hour = 0.01\n"
        "[budget]\ntrials = 3\nkwh = 0.5\nco2_kg = 0.25\nminutes = 9\n",
    )
    assert file.task == TaskSettings("csv", "/d.csv", "c", 0.1, 0.3, drop_columns=("id",))
    carbon = file.carbon.model()
    assert (carbon.intensity.g_per_kwh, carbon.pue) == (56.0, 1.5)
    assert carbon.embodied_kg_per_device_hour == 0.01
    assert file.budget == Budget(3, 0.5, 0.25, 9.0)
    images = study(task={"kind": "images", "path": "/d", "image_size": 16, "channels": 3})
    assert images.task == TaskSettings("images", "/d", image_size=16, channels=3)


def test_intensity_is_that_of_the_region_or_of_the_world() -> None:
    assert study(carbon={"region": "fra"}).carbon.model().intensity == region_intensity("FRA")
    assert study().carbon.model().intensity == world_average()


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TASK + "[budget]\ntrails = 3", "[budget] trails: unknown key: did you mean 'trials'?"),
        (
            TASK + "[metering]\nxyz = 3",
            "[metering] xyz: unknown key: known here: cpu, dram, gpu, watts_per_thread, "
            "watts_per_gb, idle_watts, dram_idle_watts, gpu_idle_watts, machines, block_seconds",
        ),
        (TASK + "[studdy]", "[studdy]: unknown key: did you mean 'study'?"),
        (
            "xyz = 1\n" + TASK,
            "[xyz]: unknown key: known here: study, task, space, training, objectives, operation, "
            "carbon, metering, search, budget, limits, targets",
        ),
        ("[study]", "[task]: is missing: every study needs it"),
        ("[task]\npath = 'x'", "[task] kind: is missing: every study needs it"),
        (
            TASK + "[carbon]\nregion = 'FRA'\ng_per_kwh = 56",
            "[carbon]: give either region or g_per_kwh, not both, "
            "not {'region': 'FRA', 'g_per_kwh': 56}",
        ),
    ],
)
def test_bad_keys_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StudyFileError) as error:
        read(tmp_path, text)
    assert str(error.value) == f"{tmp_path}/study.toml: {message}"


INTEGER, NUMBER, FINITE = "valid integer", "valid number", "finite number"
LEAST, MOST = "greater than or equal to", "less than or equal to"
TWICE, LOW_HIGH = "the same value stands in it twice", "give one number, or a low and a high end"


@pytest.mark.parametrize(
    ("section", "line", "rule", "shown"),
    [
        # Wrong types.
        ("task", "target = 5", "valid string", "5"),
        ("task", "drop_columns = 'id'", "valid list", "'id'"),
        ("study", "seed = '7'", INTEGER, "'7'"),
        ("training", "epochs = 1.0", INTEGER, "1.0"),
        ("budget", "kwh = '1'", NUMBER, "'1'"),
        ("objectives", "predictions = '1e6'", NUMBER, "'1e6'"),
        ("space", "pruning = 'a'", LOW_HIGH, "'a'"),
        ("space", "bits = ['8']", "32, 16, 8, 4 or 2", "'8'"),
        ("training", "mixed_precision = 'yes'", "'auto'", "'yes'"),
        # Booleans are no numbers.
        ("study", "seed = true", INTEGER, "True"),
        ("budget", "trials = true", INTEGER, "True"),
        ("training", "batch_size = true", INTEGER, "True"),
        ("budget", "kwh = true", NUMBER, "True"),
        ("objectives", "predictions = true", NUMBER, "True"),
        ("carbon", "pue = true", NUMBER, "True"),
        ("space", "temperature = true", NUMBER, "True"),
        ("space", "bits = true", "32, 16, 8, 4 or 2", "True"),
        # Lists.
        ("space", "architectures = []", "at least 1 item", "[]"),
        ("space", "bits = []", "at least 1 item", "[]"),
        ("training", "patience = []", "at least 1 item", "[]"),
        ("training", "optimizer = []", "at least 1 item", "[]"),
        ("training", "batch_size = []", "at least 1 item", "[]"),
        ("training", "mixed_precision = []", "at least 1 item", "[]"),
        ("space", "architectures = ['mlp', 'mlp']", TWICE, "['mlp', 'mlp']"),
        ("space", "bits = [8, 8]", TWICE, "[8, 8]"),
        ("training", "patience = [1, 1]", TWICE, "[1, 1]"),
        ("training", "batch_size = [2, 2]", TWICE, "[2, 2]"),
        # Ranges.
        ("space", "pruning = [0.5, 0.1]", "low end 0.5 is above the high end 0.1", "[0.5, 0.1]"),
        ("space", "temperature = [8.0, 2.5]", "end 8 is above the high end 2.5", "[8.0, 2.5]"),
        ("space", "distillation_weight = [0.9, 0.5]", "end 0.9 is above", "[0.9, 0.5]"),
        ("training", "learning_rate = [0.1, 0.01]", "end 0.1 is above", "[0.1, 0.01]"),
        ("space", "pruning = [0.5]", LOW_HIGH, "[0.5]"),
        ("space", "pruning = [0.1, 0.2, 0.3]", LOW_HIGH, "[0.1, 0.2, 0.3]"),
        # Out of range.
        ("study", "seed = -1", f"{LEAST} 0", "-1"),
        ("study", "seed = 2147483648", "less than 2147483648", "2147483648"),
        ("study", "threads = 0", f"{LEAST} 1", "0"),
        ("study", "name = 'a b'", "letters, digits, '.', '-' and '_' only", "'a b'"),
        ("study", "name = ''", "at least 1 character", "''"),
        ("task", "validation_fraction = 1.0", "less than 1", "1.0"),
        ("task", "test_fraction = 0.0", "greater than 0", "0.0"),
        ("task", "channels = 2", "1 or 3", "2"),
        ("task", "image_size = 3", f"{LEAST} 4", "3"),
        ("space", "pruning = 1.0", f"{MOST} 0.95", "1.0"),
        ("space", "pruning = [-0.1, 0.5]", f"{LEAST} 0", "-0.1"),
        ("space", "temperature = 0.5", f"{LEAST} 1", "0.5"),
        ("space", "distillation_weight = 0.0", "greater than 0", "0.0"),
        ("training", "epochs = 0", f"{LEAST} 1", "0"),
        ("training", "fine_tune_epochs = 0", f"{LEAST} 1", "0"),
        ("training", "patience = -1", f"{LEAST} 0", "-1"),
        ("training", "learning_rate = 0.0", "greater than 0", "0.0"),
        ("training", "batch_size = [64, 1]", f"{LEAST} 2", "1"),
        ("objectives", "predictions = -1.0", f"{LEAST} 0", "-1.0"),
        ("objectives", "floor = 1.5", f"{MOST} 1", "1.5"),
        ("objectives", "max_drop = 1", "less than 1", "1"),
        ("objectives", "max_drop = -0.01", f"{LEAST} 0", "-0.01"),
        ("objectives", "batch = 0", f"{LEAST} 1", "0"),
        ("carbon", "g_per_kwh = -1.0", f"{LEAST} 0", "-1.0"),
        ("carbon", "pue = 0.9", f"{LEAST} 1", "0.9"),
        ("carbon", "embodied_kg_per_device_hour = -1.0", f"{LEAST} 0", "-1.0"),
        ("metering", "watts_per_thread = 0.0", "greater than 0", "0.0"),
        ("metering", "watts_per_gb = 0.0", "greater than 0", "0.0"),
        ("metering", "idle_watts = -1.0", f"{LEAST} 0", "-1.0"),
        ("metering", "block_seconds = 0.0", "greater than 0", "0.0"),
        ("search", "workers = 0", f"{LEAST} 1", "0"),
        ("search", "population = 3", f"{LEAST} 4", "3"),
        ("budget", "trials = 0", f"{LEAST} 1", "0"),
        ("budget", "kwh = 0.0", "greater than 0", "0.0"),
        ("limits", "memory_gb = -4.0", "greater than 0", "-4.0"),
        # No numbers at all.
        ("budget", "kwh = nan", FINITE, "nan"),
        ("budget", "co2_kg = inf", FINITE, "inf"),
        ("budget", "minutes = inf", FINITE, "inf"),
        ("limits", "trial_minutes = nan", FINITE, "nan"),
        ("objectives", "predictions = nan", MOST, "nan"),
        ("objectives", "predictions = inf", MOST, "inf"),
        ("objectives", "floor = nan", f"{MOST} 1", "nan"),
        ("carbon", "g_per_kwh = inf", MOST, "inf"),
        ("carbon", "pue = nan", f"{MOST} 10", "nan"),
        ("space", "pruning = nan", f"{MOST} 0.95", "nan"),
        # Unknown names.
        ("space", "architectures = ['mpl']", "'mpl' is unknown (did you mean 'mlp'?)", "['mpl']"),
        ("space", "teacher = 'me'", "'me' is unknown: take one of mlp, tabular, cnn", "'me'"),
        ("search", "sampler = 'nsga'", "'nsga2', 'nsga3', 'tpe', 'gp' or 'random'", "'nsga'"),
        ("training", "device = 'gpu'", "'auto', 'cpu' or 'cuda'", "'gpu'"),
        ("training", "optimizer = 'adam'", "'adamw' or 'sgd'", "'adam'"),
        ("carbon", "region = 'Frence'", "did you mean France (FRA)", "'Frence'"),
    ],
)
def test_bad_values_are_refused_by_file_key_rule_and_value(
    tmp_path: Path, section: str, line: str, rule: str, shown: str
) -> None:
    text = TASK + line if section == "task" else f"{TASK}[{section}]\n{line}"
    with pytest.raises(StudyFileError) as error:
        read(tmp_path, text)
    start = f"{tmp_path}/study.toml: [{section}] {line.split()[0]}: "
    told = str(error.value).splitlines()
    for one in told:
        assert one.startswith(start)
        said = one.removeprefix(start)
        assert said[0].islower()
        assert not said.startswith(line.split()[0])
        assert ".," not in said
    assert any(rule in one and one.endswith(f", not {shown}") for one in told), told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task = 'digits'", "[task]: must be a table: write [task], then kind = …, not 'digits'"),
        (
            f"budget = 3\n{TASK}",
            "[budget]: must be a table: write [budget], then trials = …, not 3",
        ),
        (
            f"carbon = []\n{TASK}",
            "[carbon]: must be a table: write [carbon], then region = …, not []",
        ),
        (
            "[task]\nkind = 'csv'\ncolumns = 'x'",
            "[task] columns: must be a table: columns = { … = … }, not 'x'",
        ),
    ],
)
def test_a_section_is_a_table(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StudyFileError) as error:
        read(tmp_path, text)
    assert str(error.value) == f"{tmp_path}/study.toml: {message}"


def test_every_broken_rule_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError) as error:
        read(tmp_path, TASK + "[study]\nseed = -1\nthreads = 0\n[budget]\ntrials = 0\n")
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == [
        *("[study] seed", "[study] threads", "[budget] trials")
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[task\nkind = 1", r"study.toml' is not TOML: .*line 1"),
        (b"[task]\nkind = 'a'\nkind = 'b'", r"study.toml' is not TOML: .*overwrite"),
        (b"\xff\xfd", r"study.toml' is not TOML: .*decode"),
        (b"seed = " + b"9" * 5000, r"study.toml' is not TOML: .*5000 digits"),
        (b"[task]\nkind = " + b"[" * 9000, r"study.toml' is not TOML: .*recursion"),
        (b"[task]\npath = 'a\\b'\ntarget = \"a\\u0000\"", r"study.toml: \[task\] target: .* NUL"),
        (b'[task]\ncolumns = {"a\\u0000" = 1}', r"study.toml: \[task\] columns: .* NUL"),
        (b"[space]\narchitectures = ['a', \"\\u0000\"]", r"\[space\] architectures: .* NUL"),
        (None, r"study.toml' does not exist: make one with greenfront init"),
    ],
    ids=range(9),
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "study.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StudyFileError, match=message):
        StudyFile.read(path)


def test_a_folder_is_no_study_file(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match=r"cannot be read: Is a directory"):
        StudyFile.read(tmp_path)


def test_a_pipe_is_no_study_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "study.toml")
    with pytest.raises(StudyFileError, match=r"cannot be read: it is a pipe"):
        StudyFile.read(tmp_path / "study.toml")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    """As editors on Windows put it at the begin of a file, with their ends of lines."""
    text = '[study]\r\nname = "wine"\r\n[task]\r\nkind = "csv"\r\npath = "käse.csv"\r\n'
    path = tmp_path / "study.toml"
    path.write_bytes((text + 'target = "y"\r\n').encode(encoding))
    file = StudyFile.read(path)
    assert (file.study.name, Path(file.task.path or "").name) == ("wine", "käse.csv")


@given(data=mutated(compose("csv").encode(), compose("images").encode()))
@profile()
def test_mutated_study_files(study_path: Path, data: bytes) -> None:
    study_path.write_bytes(data)
    try:
        told = StudyFile.read(study_path).study.name
    except StudyFileError as error:
        told = str(error)
        assert "study.toml" in told
    assert told


@pytest.fixture(scope="module")
def study_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutated") / "study.toml"
