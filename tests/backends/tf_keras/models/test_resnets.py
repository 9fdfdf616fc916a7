"""ResNets: the sizes of the papers, and a stem that follows the image."""

import pytest

from ltx import UsageError
from ltx.backends.tf_keras.models import builder
from ltx.backends.tf_keras.models.resnets import resnet_50


def test_resnet_20_is_the_274k_network_with_its_statistics():
    assert builder.build("resnet_20", (32, 32, 3), 10).count_params() == 274_042


@pytest.mark.slow
def test_resnet_50_stem_follows_the_image():
    for shape, stem, kernel in [((16, 16, 3), "auto", 3), ((16, 16, 3), "imagenet", 7)]:
        conv = resnet_50(shape, 2, stem=stem).get_layer("conv")
        assert conv.kernel.shape[0] == kernel
    assert resnet_50((64, 64, 3), 2).get_layer("conv").kernel.shape[0] == 7


def test_an_unknown_stem_shows_the_known_ones():
    with pytest.raises(UsageError, match="did you mean cifar"):
        resnet_50((8, 8, 3), 2, stem="cifr")
