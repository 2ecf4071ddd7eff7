"""What a trial imports is charged to it, so it is only what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LIFE = """
import sys
from pathlib import Path
from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.instruments import detect
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.pipeline.trial import TrialRunner
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.precision import Precision
from greenfront.spaces.techniques.pruning import Pruning
from greenfront.spaces.techniques.training import Training

folder = Path(sys.argv[1])
task = load_task(TaskSettings(kind="digits"), cache=folder, seed=0)
measuring = Measuring(block_seconds=0.01, least_blocks=1, most_blocks=1)
models, store = ModelFactory(task, "cpu"), LineageStore(folder / "lineage")
runner = TrialRunner(Runtime(models, store, LocalContext(detect(4.0)), 0, measuring))
for optimizer in ("adamw", "sgd"):
    shape = models.baseline("mlp").architecture
    training = Training(optimizer=optimizer, epochs=1, fine_tune_epochs=1)
    runner.run(Candidate(shape, training, Pruning(0.5), Precision(4, quantization_aware=True)))
print(*{"torch", "torch._dynamo", "sympy", "sklearn", "scipy", "pandas"} & set(sys.modules))
"""


def test_a_life_imports_neither_torchs_compiler_nor_scikit_learn(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIFE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["torch"]
