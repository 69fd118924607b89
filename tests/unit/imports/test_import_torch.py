"""Published networks, at random weights, become engines that answer as they did. Needs torch (extra train)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

torch = pytest.importorskip("torch", reason="torch is not installed (extra train): the importers go untested")

from torch import nn  # noqa: E402

from echo_scp.config import AnalysisConfig, Config  # noqa: E402
from echo_scp.errors import ConfigurationError, EngineError  # noqa: E402
from echo_scp.imports import ImportOptions, import_engine  # noqa: E402
from echo_scp.imports.networks.deeplab import DeepLab  # noqa: E402
from echo_scp.imports.networks.video_resnet import VideoResNet  # noqa: E402
from echo_scp.inference.catalogue import Engines, load_engines  # noqa: E402
from echo_scp.inference.manifest import Manifest, read_manifest  # noqa: E402
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine  # noqa: E402
from echo_scp.model import ClipAnalysis, Reason, Structure, View  # noqa: E402
from echo_scp.pipeline import Pipeline, Request  # noqa: E402
from tests.unit.imports.trained import trained_like  # noqa: E402
from tests.unit.test_pipeline import NOW, darkness_is_ventricle, saying, write_cine  # noqa: E402

CHECKPOINTS = Path(__file__).parent / "checkpoints"
NORMALISED = ImportOptions(settings=("input.mean=32.7", "input.std=50.0"))
SMALL_CLIP = ("sampling.frames=4", "input.size=32")


def save(network: nn.Module, path: Path, **around: object) -> Path:
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": state, "loss": np.float64(0.1), **around}, path)
    return path


def answer(manifest: Manifest, batch: np.ndarray) -> np.ndarray:
    engine = OnnxRuntimeEngine(manifest)
    answers = engine.run(np.ascontiguousarray(batch, dtype=np.float32))
    engine.close()
    return answers


def difference(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(actual - expected).max() / max(1.0, np.abs(expected).max()))


@pytest.fixture(scope="module")
def deeplab(tmp_path_factory) -> tuple[DeepLab, Manifest]:
    """The network and its engine: the export takes long enough to be done once."""
    folder = tmp_path_factory.mktemp("deeplab")
    network = trained_like(DeepLab(1))
    path = save(network, folder / "deeplabv3_resnet50_random.pt")
    options = replace(NORMALISED, licence="by permission", data="EchoNet-Dynamic")
    return network, import_engine("echonet-dynamic-segmentation", [path], options, folder / "engines")


def test_the_imported_ventricle_is_the_published_one(deeplab):
    """ONNX Runtime answers as torch does within 1e-4, alone and in a batch, without the dead taps."""
    network, manifest = deeplab
    frames = torch.randn(3, 3, 112, 112)

    with torch.no_grad():
        expected = network(frames).numpy()

    assert difference(answer(manifest, frames.numpy()), expected) < 1e-4
    assert difference(answer(manifest, frames[:1].numpy()), expected[:1]) < 1e-4


def test_the_manifest_of_the_imported_ventricle_tells_its_preprocessing(deeplab):
    """Crop, border, cubic, sector, constants: what its authors did to every frame."""
    _, manifest = deeplab

    assert manifest.name == "echonet-dynamic-segmentation"
    assert (manifest.task, manifest.views) == ("segmentation", (View.A4C,))
    assert (manifest.input.fit, manifest.input.border, manifest.input.interpolation) == ("crop", 0.1, "cubic")
    assert (manifest.input.mean, manifest.input.std, manifest.input.scale) == (32.7, 50.0, 1.0)
    assert manifest.output.structures == (Structure.LV_CAVITY,)
    assert manifest.metrics == {}


def test_the_engine_folder_says_where_it_comes_from(deeplab):
    """Licence and data as given, the checkpoint by its hash, and that nothing was measured."""
    _, manifest = deeplab
    card = (manifest.folder / "MODEL_CARD.md").read_text()

    assert manifest.licence == "by permission"
    assert manifest.training.data == "EchoNet-Dynamic"
    assert "deeplabv3_resnet50_random.pt (sha256 " in manifest.training.script
    assert manifest.artefacts["fp32"].sha256 in card
    assert "Nothing was measured on import" in card
    assert read_manifest(manifest.folder) == manifest


@pytest.mark.parametrize("variant", ["r2plus1d_18", "mc3_18", "r3d_18"])
def test_the_imported_ejection_fraction_is_the_published_one(tmp_path, variant):
    """The architecture is told by the weights, frames and period by the checkpoint."""
    network = trained_like(VideoResNet(variant, 1))
    path = save(network, tmp_path / "best.pt", frames=16, period=4)
    options = replace(NORMALISED, settings=(*NORMALISED.settings, *SMALL_CLIP))

    manifest = import_engine("echonet-dynamic-ef", [path], options, tmp_path / "engines")

    assert manifest.sampling is not None
    assert (manifest.sampling.frames, manifest.sampling.period, manifest.sampling.mode) == (4, 4, "clip")
    assert variant in (manifest.folder / "MODEL_CARD.md").read_text()
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        assert difference(answer(manifest, clips.numpy()), network(clips).numpy()) < 1e-4


@pytest.fixture(scope="module")
def site(deeplab, tmp_path_factory) -> AnalysisConfig:
    """A configuration that names an imported ventricle and an imported ejection fraction."""
    _, segmentation = deeplab
    network = trained_like(VideoResNet("mc3_18", 1))
    path = save(network, tmp_path_factory.mktemp("ef") / "best.pt")
    options = replace(NORMALISED, settings=(*NORMALISED.settings, *SMALL_CLIP))
    ejection_fraction = import_engine("echonet-dynamic-ef", [path], options, segmentation.folder.parent)
    names = {"segmentation_engine": segmentation.name, "additional_engines": [ejection_fraction.name]}
    return AnalysisConfig.model_validate({"engines_folder": segmentation.folder.parent, **names})


def analyse_one(folder: Path, config: AnalysisConfig, engines: Engines) -> ClipAnalysis:
    pipeline = Pipeline(Config(analysis=config), engines)
    request = Request("1.2.3", 1, (write_cine(folder, 1),), NOW)
    return pipeline.analyse(request, lambda file, content: None).analysis.clips[0]


def test_a_study_is_segmented_by_an_imported_network(site, tmp_path):
    """Random weights outline nothing that is a ventricle: an honest reason, from every frame."""
    loaded = load_engines(site)

    clip = analyse_one(tmp_path, site, Engines(saying(0), loaded.segmentation))

    assert loaded.segmentation.manifest.name == "echonet-dynamic-segmentation"
    assert clip.not_assessed is not None
    assert clip.not_assessed.reason is not Reason.INTERNAL_ERROR


def test_an_imported_ejection_fraction_stands_beside_the_measured_one(site, tmp_path):
    """A number in percent, from runs that are evenly placed in the clip."""
    loaded = load_engines(site)

    clip = analyse_one(tmp_path, site, Engines(saying(0), darkness_is_ventricle(), loaded.additional))

    (estimate,) = clip.estimates
    assert clip.measurement is not None
    assert (estimate.name, estimate.unit, estimate.engine.name) == ("ejection_fraction", "%", "echonet-dynamic-ef")
    assert np.isfinite(estimate.value)
    assert estimate.run_count == 10


@pytest.mark.parametrize(("view_map", "a4c_kinds"), [("unoccluded", 1), ("merged", 3)])
def test_the_imported_views_are_tensorflows(tmp_path, view_map, a4c_kinds):
    """The checkpoint and the probabilities were written by TensorFlow, from the grey frames themselves."""
    path = CHECKPOINTS / "vgg-by-tensorflow.npz"
    options = ImportOptions(settings=("input.size=64",), view_map=view_map)

    manifest = import_engine("usal-view", [path], options, tmp_path)

    by_tensorflow = np.load(path)
    frames = np.repeat(by_tensorflow["frames"].transpose(0, 3, 1, 2).astype(np.float32) - 24, 3, axis=1)
    assert np.abs(softmax(answer(manifest, frames), axis=1) - by_tensorflow["answers"]).max() < 1e-5
    assert (manifest.input.mean, manifest.input.area, manifest.input.fit) == (24.0, "picture", "stretch")
    assert manifest.output.labels.count("A4C") == a4c_kinds


def test_the_imported_chambers_are_tensorflows(tmp_path):
    """A U-Net with upsamplings, concatenations and kernels in TensorFlow's order."""
    path = CHECKPOINTS / "unet-by-tensorflow.npz"
    options = ImportOptions(views=("A4C",), settings=("input.size=32",), name="a4c")

    manifest = import_engine("usal-segmentation", [path], options, tmp_path)

    by_tensorflow = np.load(path)
    logits = answer(manifest, by_tensorflow["frames"].transpose(0, 3, 1, 2).astype(np.float32) - 24)
    assert difference(logits, by_tensorflow["answers"].transpose(0, 3, 1, 2)) < 1e-4
    assert manifest.output.structures == (Structure.LV_MYOCARDIUM, Structure.LV_CAVITY, Structure.LEFT_ATRIUM)
    assert manifest.output.label_values == (0, 1, 2, 0, 3, 0)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("usal-segmentation", ImportOptions(), "expected the one view .* --view A4C"),
        ("usal-segmentation", ImportOptions(views=("A2C",)), "has 6 classes, known are 6 for A4C, 4 for A2C"),
        ("usal-segmentation", ImportOptions(views=("A4C",), settings=("input.size=40",)), "multiple of 32, got 40"),
        ("usal-view", ImportOptions(), "expected variable .*, which is missing"),
    ],
)
def test_another_checkpoint_than_the_kind_takes_is_named(tmp_path, kind, options, message):
    """What is wrong, and what would be right."""
    with pytest.raises(EngineError, match=message):
        import_engine(kind, [CHECKPOINTS / "unet-by-tensorflow.npz"], options, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_view_network_of_another_input_size_is_named(tmp_path):
    """Its first dense layer fixes the size."""
    with pytest.raises(EngineError, match="expected 3 x 3 x 4 = 36 rows in fc6/W, got 16"):
        import_engine(
            "usal-view", [CHECKPOINTS / "vgg-by-tensorflow.npz"], ImportOptions(settings=("input.size=96",)), tmp_path
        )


def test_mean_and_deviation_must_come_from_somewhere(tmp_path):
    """The published files do not hold them."""
    path = save(VideoResNet("mc3_18", 1), tmp_path / "best.pt")

    with pytest.raises(EngineError, match=r"--mean and --std .*about 32\.7 and 50\.0"):
        import_engine("echonet-dynamic-ef", [path], ImportOptions(), tmp_path / "engines")


@pytest.mark.parametrize("setting", ["input.size=wide", "input.size=4", "input.fit=zoom"])
def test_a_wrong_setting_is_named_before_anything_is_exported(tmp_path, setting):
    """An export takes a while."""
    options = ImportOptions(views=("A4C",), settings=(setting,))

    with pytest.raises(ConfigurationError, match=setting.split("=")[0]):
        import_engine("usal-segmentation", [CHECKPOINTS / "unet-by-tensorflow.npz"], options, tmp_path / "engines")


def test_a_setting_that_the_manifest_does_not_know_leaves_nothing_behind(tmp_path):
    """The key is named; no half engine stays."""
    path = CHECKPOINTS / "unet-by-tensorflow.npz"
    options = ImportOptions(views=("A4C",), settings=("input.size=32", "input.colour=red"))

    with pytest.raises(ConfigurationError, match=r"input\.colour"):
        import_engine("usal-segmentation", [path], options, tmp_path / "engines")

    assert not (tmp_path / "engines").exists()


def make_head(outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, outputs)).eval()


HEAD = (
    "input.size=16",
    "input.channels=1",
    "input.mean=0.5",
    "input.std=0.25",
    'output.values=[{name="age", unit="a"}, {name="weight", unit="kg"}]',
)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # what such files are made with
@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_a_torch_program_becomes_a_phenotype_engine(tmp_path, suffix):
    """TorchScript, as heads were published, or what torch exports today."""
    head, frames = make_head(2), torch.rand(2, 1, 16, 16)
    path = tmp_path / f"head{suffix}"
    if suffix == ".pt":
        torch.jit.trace(head, frames).save(path)
    else:
        free = {0: torch.export.Dim("batch", min=1, max=512)}
        torch.export.save(torch.export.export(head, (frames,), dynamic_shapes=(free,)), path)

    manifest = import_engine("echonet-phenotype", [path], ImportOptions(settings=HEAD, name="head"), tmp_path / "e")

    with torch.no_grad():
        assert difference(answer(manifest, frames.numpy()), head(frames).numpy()) < 1e-4
    assert (manifest.task, manifest.sampling and manifest.sampling.interval_ms) == ("phenotype", 100.0)
    assert [value.name for value in manifest.output.values] == ["age", "weight"]
