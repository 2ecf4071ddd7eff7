from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from contracts.text_architectures import (
    Shape,
    TextArchitectureContract,
    encoded_sentences,
    lengths_and_batches,
    run,
)
from contracts.texts import CLASSES, saved_model
from greenfront.errors import UsageError
from greenfront.objectives.stages.export import to_onnx
from greenfront.objectives.stages.predict import predict
from greenfront.objectives.stages.prune import parameter_count, prune
from greenfront.objectives.stages.train import FitOptions, train
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.architectures.text_classifier import TextClassifier
from greenfront.spaces.architectures.transformers import Transformer
from greenfront.spaces.techniques.training import Training

FAMILIES = ("bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta")


class PretrainedContract(TextArchitectureContract):
    shape: ClassVar[Shape] = {"layers": 4, "heads": 4, "ffn": 1.0, "length": 32, "frozen": 0.0}
    model_type: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def family(cls, tmp_path_factory):
        folder = tmp_path_factory.mktemp("models") / cls.model_type
        return Transformer(f"hf:{saved_model(folder, cls.model_type)}")

    def test_weights_are_those_of_the_file(self, family) -> None:
        from safetensors.torch import load_file

        stored = load_file(family.checkpoint.folder / "model.safetensors")
        built = self.build(family).network.base_model.state_dict()
        shared = stored.keys() & built.keys()
        assert len(shared) > 60
        assert all(torch.equal(stored[name], built[name]) for name in shared)

    def test_different_points_are_different_networks(self, family) -> None:
        ids = torch.tensor([[5, 6, 7, 8]])
        usual = self.build(family).eval()(ids)
        for change in ({"layers": 3}, {"heads": 2}, {"ffn": 0.25}):
            model = self.build(family, {**self.shape, **change}).eval()
            assert not torch.allclose(model(ids), usual)

    def test_lower_layers_can_be_held_still(self, family, data) -> None:
        model = self.build(family, {**self.shape, "frozen": 0.5})
        before = {name: weight.clone() for name, weight in model.named_parameters()}
        train(model, data, Training(epochs=1), seed=0)
        still = {n for n, weight in model.named_parameters() if torch.equal(weight, before[n])}
        base = "network." + model.network.base_model_prefix
        below = {n for n in before if n.startswith((f"{base}.embeddings",))} | {
            name
            for name in before
            for layer in (0, 1)
            if name.startswith(
                (f"{base}.encoder.layer.{layer}.", f"{base}.transformer.layer.{layer}.")
            )
        }
        assert still == below

    def test_a_frozen_network_can_be_pruned_and_stays_frozen(self, family, data) -> None:
        model = self.build(family, {**self.shape, "frozen": 0.5})
        prune(model, data.train.inputs[:2], 0.5, family.head(model))
        before = {name: weight.clone() for name, weight in model.named_parameters()}
        train(model, data, Training(epochs=1), seed=0)
        still = [n for n, weight in model.named_parameters() if torch.equal(weight, before[n])]
        assert 0 < len(still) < len(before)
        assert any("word_embeddings" in name for name in still)

    def test_it_learns_gently(self, family) -> None:
        assert family.body_rate < 0.1


class TestPretrainedBert(PretrainedContract):
    model_type: ClassVar[str] = "bert"


class TestPretrainedDistilBert(PretrainedContract):
    model_type: ClassVar[str] = "distilbert"


@pytest.mark.parametrize("model_type", FAMILIES)
def test_all_families_can_be_slimmed_and_exported(model_type, tmp_path) -> None:
    family = Transformer(f"hf:{saved_model(tmp_path / 'model', model_type)}")
    whole = family.build(family.baseline(), (), 2)
    slim: Shape = {"layers": 2, "heads": 2, "ffn": 0.5, "length": 32, "frozen": 0.5}
    model = family.build(slim, (), 2)
    assert isinstance(whole, TextClassifier)
    assert isinstance(model, TextClassifier)
    full, half = (
        sum(weight.numel() for weight in each.layers.parameters()) for each in (whole, model)
    )
    assert 0.2 * full < half < 0.3 * full
    most = family.checkpoint.tokens
    to_onnx(model, torch.full((1, 3), 9), tmp_path / "model.onnx")
    for ids in lengths_and_batches(int(family.padding or 0), most):
        assert (run(tmp_path / "model.onnx", ids) - predict(model, ids)).abs().max() < 1e-4


def test_kept_layers_are_spread_from_first_to_last(tmp_path) -> None:
    family = Transformer(f"hf:{saved_model(tmp_path)}")

    def queries(kept: int) -> list[Tensor]:
        model = family.build({**family.baseline(), "layers": kept}, (), 2)
        assert isinstance(model, TextClassifier)
        return [layer.get_submodule("attention.self.query").weight for layer in model.layers]

    everything = queries(4)
    for kept, chosen in ((1, [0]), (2, [0, 3]), (3, [0, 2, 3])):
        for weight, index in zip(queries(kept), chosen, strict=True):
            assert torch.equal(weight, everything[index])


def test_what_weighs_nothing_is_left_out_first(tmp_path) -> None:
    """Heads and neurons that are dead do not change the answers when they go."""
    family = Transformer(f"hf:{saved_model(tmp_path)}")
    torch.manual_seed(0)
    model = family.build(family.baseline(), (), 2)
    assert isinstance(model, TextClassifier)
    with torch.no_grad():
        for layer in model.layers:
            layer.get_submodule("attention.output.dense").weight[:, 4:12] = 0  # heads 1 and 2 of 4
            layer.get_submodule("output.dense").weight[:, ::2] = 0
    model.network.base_model.save_pretrained(tmp_path)
    ids = torch.tensor([[5, 6, 7, 8], [9, 5, 5, 0]])
    whole, half = {}, {"heads": 2, "ffn": 0.5}
    answers = []
    for change in (whole, half):
        torch.manual_seed(0)
        answers.append(predict(family.build({**family.baseline(), **change}, (), 2), ids))
    assert torch.allclose(*answers, atol=1e-6)


def test_knobs_follow_from_the_configuration(tmp_path) -> None:
    small = Transformer(f"hf:{saved_model(tmp_path, positions=40)}")
    choices = {knob.name: knob.values() for knob in small.knobs()}
    assert choices == {
        "layers": (1, 2, 3, 4),
        "heads": (2, 3, 4),
        "ffn": (0.25, 0.5, 1.0),
        "length": (32, 40),
        "frozen": (0.0, 0.5),
    }
    assert small.baseline() == {"layers": 4, "heads": 4, "ffn": 1.0, "length": 40, "frozen": 0.0}
    minilm = {knob.name: knob.values() for knob in architecture("hf:minilm").knobs()}
    assert minilm["layers"] == (2, 3, 4, 6)
    assert minilm["heads"] == (6, 9, 12)
    assert minilm["length"] == (32, 64, 128, 256)


def test_a_stored_classifier_is_replaced(tmp_path) -> None:
    family = Transformer(f"hf:{saved_model(tmp_path)}")
    model = family.build(family.baseline(), (), 3)
    model.network.save_pretrained(tmp_path)
    stored = model.state_dict()
    for classes in (2, 3):
        torch.manual_seed(1)
        head = family.head(family.build(family.baseline(), (), classes))
        assert head.weight.shape == (classes, 16)
    assert not torch.equal(head.weight, stored["network.classifier.weight"])


def test_minilm_from_its_package(tmp_path, capfd) -> None:
    family = architecture("hf:minilm")
    shape = family.baseline()
    assert family.objection(()) is None
    texts = np.array(["Profits rose.", "The match was lost, and so was the cup."], dtype=object)
    ids = torch.from_numpy(family.encode(shape, texts, texts[:0]))
    assert ids[0].tolist()[:5] == [101, 11372, 3123, 1012, 102]
    torch.manual_seed(0)
    model = family.build(shape, (), 5)
    assert parameter_count(model) == 22_715_141
    to_onnx(model, ids, tmp_path / "model.onnx")
    for batch in (ids, ids[:1, :5], torch.randint(1000, 9000, (3, 40))):
        assert (run(tmp_path / "model.onnx", batch) - predict(model, batch)).abs().max() < 1e-4
    assert len(family.fingerprint()) == 64
    assert capfd.readouterr() == ("", "")


def test_minilm_learns_from_few_texts() -> None:
    family = architecture("hf:minilm")
    shape = {**family.baseline(), "layers": 2, "heads": 6, "ffn": 0.25, "length": 32}
    data = encoded_sentences(family, shape, 96)
    torch.manual_seed(0)
    model = family.build(shape, (), CLASSES)
    training = Training(learning_rate=1e-2, batch_size=16, epochs=2, patience=0)
    train(
        model,
        data,
        training,
        seed=0,
        options=FitOptions(head=family.head(model), body_rate=family.body_rate),
    )
    right = predict(model, data.validation.inputs).argmax(-1) == data.validation.labels
    assert float(right.float().mean()) > 0.8


def damaged(folder: Path, content: bytes) -> Transformer:
    (folder / "model.safetensors").write_bytes(content)
    return Transformer(f"hf:{folder}")


@pytest.mark.parametrize("length", [0, 50, 20_000])
def test_weights_that_cannot_be_read_are_refused(tmp_path, length) -> None:
    content = (saved_model(tmp_path) / "model.safetensors").read_bytes()
    family = damaged(tmp_path, content[:length])
    wanted = rf"in {tmp_path} must be whole .* model.safetensors cannot .*header.*: download"
    with pytest.raises(UsageError, match=wanted):
        family.build(family.baseline(), (), 2)


def test_a_part_of_the_weights_that_is_missing_is_told(tmp_path) -> None:
    folder = saved_model(tmp_path)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": {"a": "model-00002-of-00002.safetensors"}})
    )
    family = Transformer(f"hf:{folder}")
    with pytest.raises(UsageError, match=r"be whole .*model-00002-of-00002.safetensors.*download"):
        family.build(family.baseline(), (), 2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"hidden_size": 17}, "not a multiple of"),
        ({"hidden_size": None}, "expected int, got NoneType"),
        ({"hidden_act": "none such"}, "'none such'"),
    ],
)
def test_configurations_of_no_network_are_refused(tmp_path, change, told) -> None:
    config = json.loads((saved_model(tmp_path) / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    family = Transformer(f"hf:{tmp_path}")
    with pytest.raises(UsageError, match=rf"(?s)must be whole .*config.json .*{told}.*: download"):
        family.build(family.baseline(), (), 2)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_weights_of_another_width_are_refused(model_type, tmp_path) -> None:
    folder = saved_model(tmp_path, model_type)
    config = json.loads((folder / "config.json").read_text())
    key = "hidden_dim" if model_type == "distilbert" else "intermediate_size"
    (folder / "config.json").write_text(json.dumps({**config, key: 48}))
    family = Transformer(f"hf:{folder}")
    wanted = (
        rf"the weights in {folder} must be those .*, but 12 are missing or of another size: "
        r"\S+, \S+, \S+layer\.\S+, …: put weights and"
    )
    with pytest.raises(UsageError, match=wanted):
        family.build(family.baseline(), (), 2)


def test_weights_by_other_names_are_refused(tmp_path) -> None:
    from safetensors.torch import load_file, save

    stored = load_file(saved_model(tmp_path) / "model.safetensors")
    family = damaged(tmp_path, save({f"other.{n}": w for n, w in stored.items()}, {"format": "pt"}))
    with pytest.raises(UsageError, match=r"describes, but \d\d are missing .*: bert\."):
        family.build(family.baseline(), (), 2)


def test_encoders_are_taken_without_their_pooler(tmp_path) -> None:
    from safetensors.torch import load_file, save

    stored = load_file(saved_model(tmp_path) / "model.safetensors")
    # Cloned, because the tensors lie in the file, which is about to be written.
    kept = {name: weight.clone() for name, weight in stored.items() if "pooler" not in name}
    assert len(kept) == len(stored) - 2
    family = damaged(tmp_path, save(kept, {"format": "pt"}))
    built = family.build(family.baseline(), (), 2).state_dict()
    assert all(torch.equal(weight, built[f"network.bert.{name}"]) for name, weight in kept.items())


@pytest.mark.parametrize("name", ["hf:", "hf: "])
def test_a_name_is_needed(name) -> None:
    with pytest.raises(UsageError, match="must name a model after 'hf:'"):
        architecture(name)


def test_what_cannot_be_found_is_told_when_it_is_asked(tmp_path) -> None:
    family = Transformer(f"hf:{tmp_path / 'none'}")
    assert family.objection((3,)) == "it needs texts"
    for ask in (lambda: family.objection(()), family.knobs, family.baseline):
        with pytest.raises(UsageError, match="none must hold a model, but does not exist"):
            ask()
    saved_model(tmp_path / "none")
    assert family.objection(()) is None


@pytest.mark.parametrize("name", ["bert", "hf:minilm"])
def test_without_the_library_it_says_what_to_install(name, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"transformers, which is not .*greenfront\[text\]"):
        architecture(name).objection(())


def test_laying_out_a_space_imports_no_heavy_library() -> None:
    code = (
        "import sys, json\n"
        "from greenfront.spaces.architectures.registry import architecture\n"
        "for name in ('bert', 'distilbert', 'hf:minilm'):\n"
        "    family = architecture(name)\n"
        "    family.objection(()), family.knobs(), family.baseline(), family.padding\n"
        "    family.fingerprint()\n"
        "print(json.dumps(sorted({'torch', 'transformers', 'tokenizers'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
