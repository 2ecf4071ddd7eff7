"""What the graph makes of raw inputs, beside what the task makes of them."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from contracts.tables import table_of
from greenfront.objectives.tasks.raw import ArrayInputs, Pictures
from greenfront.objectives.tasks.recipe import ArrayRecipe, TableRecipe, recipe_of
from greenfront.objectives.tasks.standardise import Scale
from greenfront.objectives.tasks.tables.inputs import TableInputs
from greenfront.objectives.tasks.tables.reading import Reading
from greenfront.objectives.tasks.tables.values import as_levels, as_numbers
from greenfront.objectives.wrapping.graph_builder import ML, GraphBuilder
from greenfront.objectives.wrapping.preprocess import (
    RESIZED_WITHIN,
    array_preprocessing,
    table_preprocessing,
)

CELLS = st.one_of(st.none(), st.sampled_from(["a", "b", "c d", "é"]))
# Of three decimals: deviations that vanish would scale others out of float32, which data refuse.
NUMBERS = st.one_of(st.none(), st.floats(-1e12, 1e12).map(lambda number: f"{number:.3f}"))


def run(piece: GraphBuilder, feed: dict[str, np.ndarray]) -> np.ndarray:
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        piece.nodes,
        "inlet",
        piece.inputs,
        [helper.make_tensor_value_info("made", kind, None)],
        piece.constants,
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(ML, 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, feed)
    return np.asarray(found)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, CELLS, CELLS), min_size=2, max_size=12),
    st.integers(1, 12),
)
def test_a_table_comes_out_bit_for_bit(rows: list[tuple[str | None, ...]], seen: int) -> None:
    columns = dict(zip(("n", "m: x", "k", "l"), map(list, zip(*rows, strict=True)), strict=True))
    cells = table_of(columns)
    values = [as_numbers(cells.column(name), Reading("number")) for name in ("n", "m: x")]
    inputs = TableInputs(
        "rows", (*values, *(as_levels(cells.column(name)) for name in ("k", "l"))), len(rows)
    )
    train = np.arange(min(seen, len(rows)))
    recipe = recipe_of(inputs, train)
    assert isinstance(recipe, TableRecipe)
    everything = np.arange(len(rows))
    made = run(table_preprocessing(recipe, "inlet/", "made"), recipe.raw(inputs, everything))
    np.testing.assert_array_equal(made, inputs.encode(train))


def pixels(channels: int, edge: int) -> ArrayRecipe:
    scales = tuple(Scale(0.0, 1.0) for _ in range(channels))
    return ArrayRecipe((channels, edge, edge), "uint8", scales, Pictures())


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_the_models_size_are_left_alone(channels: int) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (2, 16, 16, channels), dtype=np.uint8)
    made = run(array_preprocessing(pixels(channels, 16), "inlet/", "made"), {"image": image})
    np.testing.assert_array_equal(made, image.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_other_sizes_are_resized_nearly_as_by_pillow(channels: int) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    piece = array_preprocessing(pixels(channels, 20), "inlet/", "made")
    for _ in range(40):
        height, width = random.integers(2, 90, 2).tolist()
        image = random.integers(0, 256, (1, height, width, channels), dtype=np.uint8)
        picture = Image.fromarray(image[0, :, :, 0] if channels == 1 else image[0])
        wanted = np.asarray(picture.resize((20, 20), Image.Resampling.BILINEAR)).astype(float)
        made = run(piece, {"image": image})[0].transpose(1, 2, 0)
        assert np.abs(made - wanted.reshape(20, 20, channels)).max() <= RESIZED_WITHIN


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("most", "operators"), [(256, 2), (17, 5)])
def test_images_come_out_bit_for_bit(channels: int, most: int, operators: int) -> None:
    """Pixels by whole means in one operator, and in double precision where these are too coarse."""
    values = np.random.default_rng(1).integers(0, most, (40, channels, 6, 5), dtype=np.uint8)
    if channels == 3:
        values[:, 2] = 7
    inputs, train = ArrayInputs("images", values), np.arange(9)
    recipe = recipe_of(inputs, train)
    assert isinstance(recipe, ArrayRecipe)
    piece = array_preprocessing(recipe, "inlet/", "made")
    assert len(piece.nodes) == operators
    made = run(piece, recipe.raw(inputs, np.arange(40)))
    np.testing.assert_array_equal(made, inputs.encode(train))
    assert abs(float(made[:9, 0].mean())) < 1 / 32
    assert float(made[:9, 0].std()) == pytest.approx(1, abs=1e-5)


def test_what_is_constant_becomes_nothing() -> None:
    recipe = ArrayRecipe((2,), "float64", (Scale(0.0, 0.0), Scale(3.0, 2.0)))
    made = run(array_preprocessing(recipe, "inlet/", "made"), {"features": np.array([[9.0, 7.0]])})
    assert made.tolist() == [[0.0, 2.0]]
