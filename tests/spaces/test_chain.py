"""The space `chain`: its size and classes, and what is built of a configuration, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nasbench_lab.spaces import chain, naming
from nasbench_lab.spaces.chain import Configuration, Layer
from nasbench_lab.spaces.named import named

SPACE = chain.space()


def of(*labels) -> Configuration:
    return Configuration(*labels)


def test_sizes_and_classes_are_those_of_counting_by_hand():
    """288 convolutions all differ; fc: 4 lengths, 3 widths, 4 rates; pool: radius 3..6, 8, 9, 10 or all, 7 in steps of 8."""
    assert named("chain") is SPACE
    assert SPACE.size == 4 * 3 * 3 * 3 * 2 * 4 == 864
    kinds = np.array(chain.KINDS)[SPACE.choices[:, 1]]
    counts = {kind: len(np.unique(SPACE.classes[kinds == kind])) for kind in chain.KINDS}
    assert counts == {"conv": 288, "pool": 9 * 4, "fc": 4 * 3 * 4}
    assert SPACE.classes.max() + 1 == 372
    assert [d.name for d in SPACE.decisions if not d.ordered] == ["layer_type"]
    assert SPACE.decisions[-1].options == (0.01, 0.03, 0.1, 0.3)


def test_classes_are_equal_layers_and_equal_rates_and_nothing_else():
    keys = [(chain.layers(chain.configuration(arch)), chain.configuration(arch).lr) for arch in range(SPACE.size)]
    assert [keys.index(key) for key in keys] == SPACE.representatives.tolist()


def test_strides_and_filters_end_with_the_canvas():
    found = chain.layers(of(6, "conv", 7, 4, 2, 0.1))
    assert [layer.side for layer in found] == [6, 3, 2, 1, 1, 1]
    assert [layer.stride for layer in found] == [2, 2, 2, 2, 1, 1]
    assert [layer.window for layer in found] == [7, 7, 5, 3, 1, 1]
    assert {layer.side for layer in chain.layers(of(6, "conv", 7, 4, 1, 0.1))} == {12}


@pytest.mark.parametrize(
    ("given", "layer"),
    [
        (of(3, "pool", 3, 4, 1, 0.1), Layer("pool", 0, 7, 1, 12)),
        (of(3, "pool", 5, 16, 1, 0.1), Layer("pool", 0, 13, 1, 12)),
        (of(6, "pool", 3, 8, 1, 0.1), Layer("pool", 0, 13, 1, 12)),
        (of(3, "pool", 3, 4, 2, 0.1), Layer("pool", 0, 15, 8, 2)),
        (of(4, "pool", 3, 4, 2, 0.1), Layer("pool", 0, 23, 12, 1)),
        (of(6, "pool", 7, 4, 1, 0.1), Layer("pool", 0, 23, 12, 1)),
    ],
)
def test_pools_one_after_another_are_one(given, layer):
    assert chain.layers(given) == (layer,)


def test_fc_has_no_filters_and_no_strides():
    assert (
        chain.layers(of(3, "fc", 3, 8, 1, 0.1))
        == chain.layers(of(3, "fc", 7, 8, 2, 0.3))
        == (Layer("fc", 64, 0, 0, 1),) * 3
    )


def test_a_configuration_is_read_by_its_labels():
    arch = naming.parse(SPACE, "4,conv,5,8,2,0.03")
    assert chain.configuration(arch) == of(4, "conv", 5, 8, 2, 0.03)
    assert naming.parse(SPACE, naming.text(SPACE, arch)) == arch
    with pytest.raises(ValueError, match="0..863"):
        chain.configuration(864)
