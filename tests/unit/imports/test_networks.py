"""The published architectures, with the published names. Needs torch (extra train)."""

from __future__ import annotations

import hashlib

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra train): the importers' networks go untested")

from echo_scp.imports.networks.deeplab import DeepLab, drop_dead_taps  # noqa: E402
from echo_scp.imports.networks.unet import UNet  # noqa: E402
from echo_scp.imports.networks.vgg import Vgg  # noqa: E402
from echo_scp.imports.networks.video_resnet import VideoResNet  # noqa: E402
from tests.unit.imports.trained import trained_like  # noqa: E402

# Of torchvision 0.29.1: the sorted lines "name shape" of the network with one output in place of its last layer.
TORCHVISION = {
    "deeplabv3_resnet50": (362, "7bd7a4175f0353d1d5875516b727f373596148920939707715dd0925307dda31"),
    "r3d_18": (122, "0d06cac1d1bc47ddb1c7f09284b14c81386d151e22f8dbeca2e8e1675e557d82"),
    "mc3_18": (122, "2a7a9bff2775f898e805ecf9cca0439cc4af8aed60f7e6e53d4fa15ac72fa0d8"),
    "r2plus1d_18": (224, "7a87ec20ac797d2be904effcc195db8b399b4672a483add8de9f41bb63fc9686"),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_names_and_shapes_are_torchvisions(name):
    """A published checkpoint finds a place for each of its tensors."""
    network = DeepLab(1) if name.startswith("deeplab") else VideoResNet(name, 1)

    lines = sorted(f"{key} {tuple(value.shape)}" for key, value in network.state_dict().items())

    assert (len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()) == TORCHVISION[name]


@pytest.mark.parametrize(("size", "dead"), [(96, 3), (112, 2)])
def test_dead_taps_are_dropped_without_a_trace(size, dead):
    """On 14 x 14 features a dilation of 24 sees nothing but its centre; 12 does, on 12 x 12 no longer."""
    network = trained_like(DeepLab(1))
    frames = torch.randn(1, 3, size, size)
    with torch.no_grad():
        expected = network(frames)

        dropped = drop_dead_taps(network, size)

        assert dropped == dead
        assert (network(frames) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_taps_that_see_something_stay():
    """At 320 pixels the features are 40 wide: every dilation reaches a neighbour."""
    assert drop_dead_taps(DeepLab(1), 320) == 0


def test_the_logits_are_as_large_as_the_frames():
    """Whatever their size."""
    with torch.no_grad():
        assert DeepLab(2).eval()(torch.randn(1, 3, 40, 40)).shape == (1, 2, 40, 40)
        assert UNet(1, 4)(torch.randn(1, 1, 64, 64)).shape == (1, 4, 64, 64)


def test_a_clip_gives_its_numbers():
    """And a frame its classes."""
    with torch.no_grad():
        assert VideoResNet("mc3_18", 2).eval()(torch.randn(2, 3, 4, 16, 16)).shape == (2, 2)
        assert Vgg((2, 2, 2, 2, 2), 4, 5, 32)(torch.randn(3, 3, 32, 32)).shape == (3, 5)
