"""Any ONNX network becomes an engine, when someone says what it means; without torch."""

from __future__ import annotations

import shutil
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from echo_scp.errors import ConfigurationError, EngineError, ManifestError
from echo_scp.imports import KINDS, ImportOptions, import_engine
from echo_scp.imports.manifest_text import to_toml
from echo_scp.imports.options import with_settings
from echo_scp.inference.manifest import read_manifest
from echo_scp.inference.onnx_artefact import run_artefact
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine
from echo_scp.inference.verify import make_batch
from tests.unit.inference.manifests import VALID
from tests.unit.inference.networks import SIZE, network_bytes

NORMALISED = ("input.mean=0.5", "input.std=0.25")
OUTLINES = (
    "task=segmentation",
    'views=["A4C"]',
    'output.labels=["background", "lv_cavity", "lv_myocardium", "left_atrium"]',
    *NORMALISED,
)


def make_file(folder: Path, task: str = "segmentation") -> Path:
    path = folder / "network.onnx"
    path.write_bytes(network_bytes(task))
    return path


def test_settings_make_an_engine_of_an_onnx_file(tmp_path):
    """Names and sizes come from the file, the meaning from the settings."""
    manifest = import_engine("onnx", [make_file(tmp_path)], ImportOptions("mine", settings=OUTLINES), tmp_path / "e")

    assert manifest.folder == tmp_path / "e" / "mine"
    assert (manifest.input.tensor, manifest.input.size, manifest.input.channels) == ("frames", SIZE, 1)
    assert (manifest.input.mean, manifest.output.tensor) == (0.5, "logits")
    assert manifest.artefact_path("fp32").read_bytes() == network_bytes()
    assert read_manifest(manifest.folder) == manifest
    assert sorted(path.name for path in manifest.folder.iterdir()) == ["MODEL_CARD.md", "manifest.toml", "model.onnx"]


def test_a_manifest_beside_the_file_says_the_same(tmp_path):
    """Options go over settings, these over the manifest; its hashes are not believed."""
    stated = {
        "schema": 1,
        "name": "theirs",
        "version": "7",
        "task": "segmentation",
        "licence": "theirs",
        **VALID["segmentation"],
        "artefacts": {"fp32": {"file": "x", "sha256": "0"}},
        "training": {"data": "theirs", "script": "train.py", "seed": 3},
        "input": {"mean": 0.1, "std": 0.2},
        "metrics": {"dice": 0.9},
    }
    path = tmp_path / "manifest.toml"
    path.write_text(to_toml(stated))
    files = [make_file(tmp_path), path]
    options = ImportOptions("mine", version="2.0", data="ours", settings=("input.mean=0.3", "licence=MIT"))

    manifest = import_engine("onnx", files, options, tmp_path / "e")
    untold = import_engine("onnx", files, ImportOptions(), tmp_path / "e")

    assert (manifest.name, manifest.version, manifest.licence) == ("mine", "2.0", "MIT")
    assert (manifest.input.mean, manifest.input.std) == (0.3, 0.2)
    assert manifest.training.data == "ours"
    assert manifest.views == ("A4C", "A2C")
    assert (untold.name, untold.version, untold.licence) == ("theirs", "7", "theirs")
    assert (untold.training.data, untold.training.seed, untold.metrics) == ("theirs", 3, {"dice": 0.9})
    assert untold.training.script.startswith("train.py; imported as onnx from network.onnx (sha256 ")


def test_what_nobody_says_is_unknown(tmp_path):
    """Licence and data are never guessed."""
    manifest = import_engine("onnx", [make_file(tmp_path)], ImportOptions(settings=OUTLINES), tmp_path / "e")

    assert (manifest.name, manifest.version) == ("onnx", "1.0.0")
    assert (manifest.licence, manifest.training.data) == ("unknown", "unknown")


def test_weights_in_another_file_become_part_of_the_artefact(tmp_path, monkeypatch):
    """As torch exports them; the engine needs neither that file nor the folder that it lay in."""
    given = tmp_path / "given"
    given.mkdir()
    model = onnx.load_from_string(network_bytes())
    onnx.save(
        model, given / "network.onnx", save_as_external_data=True, location="network.onnx.data", size_threshold=64
    )
    monkeypatch.chdir(given)

    manifest = import_engine("onnx", [given / "network.onnx"], ImportOptions(settings=OUTLINES), tmp_path / "e")
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(given)
    batch = make_batch(manifest, 2)
    (tmp_path / "whole.onnx").write_bytes(network_bytes())

    answers = OnnxRuntimeEngine(manifest).run(batch)
    assert np.array_equal(answers, run_artefact(tmp_path / "whole.onnx", batch))
    assert "network.onnx.data (sha256" in manifest.training.script


def test_a_head_of_numbers_is_a_phenotype_engine(tmp_path):
    """The defaults are EchoNet's: 20 frames, 100 ms apart."""
    names = ", ".join(f'{{name = "n{number}", unit = "1"}}' for number in range(4))
    settings = (f"output.values=[{names}]", "output.activation=sigmoid", *NORMALISED)
    options = ImportOptions("head", settings=settings)

    manifest = import_engine("echonet-phenotype", [make_file(tmp_path, "view")], options, tmp_path / "e")

    assert manifest.task == "phenotype"
    assert (manifest.input.size, manifest.input.channels, manifest.input.fit) == (SIZE, 1, "stretch")
    assert manifest.sampling is not None
    assert (manifest.sampling.frames, manifest.sampling.interval_ms, manifest.sampling.clips) == (20, 100.0, 1)


def test_an_engine_that_is_there_stays_unless_forced(tmp_path):
    """The second import without --force changes nothing; with it, the folder is the new one, whole."""
    path, options = make_file(tmp_path), ImportOptions("mine", settings=OUTLINES)
    first = import_engine("onnx", [path], options, tmp_path / "e")
    (first.folder / "notes.txt").write_text("of the site")

    with pytest.raises(EngineError, match="is there already"):
        import_engine("onnx", [path], replace(options, version="2"), tmp_path / "e")
    assert read_manifest(first.folder) == first
    second = import_engine("onnx", [path], replace(options, version="2", force=True), tmp_path / "e")

    assert second.version == "2"
    assert not (second.folder / "notes.txt").exists()
    assert [path.name for path in (tmp_path / "e").iterdir()] == ["mine"]


def test_a_failed_replacement_leaves_the_engine_as_it_was(tmp_path):
    """Also when the new one is found wrong at the last moment, in its first run."""
    path, options = make_file(tmp_path), ImportOptions("mine", settings=OUTLINES)
    first = import_engine("onnx", [path], options, tmp_path / "e")
    wrong = replace(options, force=True, settings=(*OUTLINES, 'output.labels=["background", "lv_cavity"]'))

    with pytest.raises(ManifestError, match=r"output\.labels: expected what the artefact has, 4"):
        import_engine("onnx", [path], wrong, tmp_path / "e")

    assert read_manifest(first.folder) == first
    assert [path.name for path in (tmp_path / "e").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (("task=segmentation",), "views|input.mean"),
        ((*OUTLINES, "task=surgery"), "task"),
        ((*OUTLINES, "input.size=64"), "input.size"),
        ((*OUTLINES, "input.channels=3"), "input.channels"),
        ((*OUTLINES, "input.std=0"), "input.std"),
    ],
)
def test_what_does_not_fit_is_named_by_its_field(tmp_path, settings, field):
    """The manifest's own checks, on the folder that is being made."""
    with pytest.raises(ManifestError, match=field):
        import_engine("onnx", [make_file(tmp_path)], ImportOptions("mine", settings=settings), tmp_path / "e")

    assert list((tmp_path / "e").iterdir()) == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "expected one network"),
        (["network.onnx", "network.onnx"], "expected one network"),
        (["absent.onnx"], r"absent\.onnx: no such file"),
        (["broken.onnx"], r"broken\.onnx: ONNX Runtime cannot load it"),
        (["network.onnx", "broken.toml"], r"broken\.toml: expected a manifest"),
    ],
)
def test_wrong_files_are_named(tmp_path, files, message):
    """Before anything is written."""
    make_file(tmp_path)
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    (tmp_path / "broken.toml").write_text("= nothing")

    with pytest.raises(EngineError, match=message):
        import_engine("onnx", [tmp_path / name for name in files], ImportOptions("mine"), tmp_path / "e")


@pytest.mark.parametrize(("kind", "name"), [("tensorflow", "mine"), ("onnx", "../mine"), ("onnx", "Mine")])
def test_unknown_kinds_and_names_that_are_no_folders_are_refused(tmp_path, kind, name):
    """With what is known or expected."""
    with pytest.raises(ConfigurationError, match=r"known are .*usal-view|small letters"):
        import_engine(kind, [make_file(tmp_path)], ImportOptions(name), tmp_path / "e")


@pytest.mark.parametrize(
    "kind", ["echonet-dynamic-segmentation", "echonet-dynamic-ef", "usal-view", "usal-segmentation"]
)
def test_without_torch_an_import_says_what_to_install(tmp_path, monkeypatch, kind):
    """A node does not have it; the message names the extra."""
    for module in [
        name for name in sys.modules if name.split(".")[0] == "torch" or name.startswith("echo_scp.imports.")
    ]:
        if module.startswith(("torch", "echo_scp.imports.torch_export", "echo_scp.imports.networks")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    weights = tmp_path / "weights.npz"
    np.savez(weights, **{"vgg/conv1_1/W": np.zeros((3, 3, 1, 2), dtype=np.float32)})

    with pytest.raises(EngineError, match=r"needs torch: pip install 'echo-scp\[train\]'"):
        import_engine(kind, [weights], ImportOptions(views=("A4C",)), tmp_path / "e")


def test_every_kind_says_what_it_takes():
    """The command's help is made of it."""
    assert all(kind.summary.endswith(".") and kind.takes for kind in KINDS.values())
    assert all(name == kind.name for name, kind in KINDS.items())


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("input.size=128", {"input": {"size": 128, "mean": 0.0}}),
        ("input.mean=[1, 2.5]", {"input": {"mean": [1, 2.5]}}),
        ("input.fit = stretch", {"input": {"mean": 0.0, "fit": "stretch"}}),
        ("decision.threshold=0.5", {"input": {"mean": 0.0}, "decision": {"threshold": 0.5}}),
        ("licence=a=b", {"input": {"mean": 0.0}, "licence": "a=b"}),
    ],
)
def test_a_setting_goes_where_its_key_points(setting, expected):
    """Values are TOML's; a bare word needs no quotes. What was there before stays as it was."""
    values = {"input": {"mean": 0.0}}

    assert with_settings(values, [setting]) == expected
    assert values == {"input": {"mean": 0.0}}


@pytest.mark.parametrize("setting", ["input.size", "=3", "input.=3", "licence.text=MIT", "input=3"])
def test_a_setting_without_a_key_or_into_a_value_is_refused(setting):
    """It is repeated as it was given."""
    with pytest.raises(ConfigurationError, match=f"--set {setting}"):
        with_settings({"licence": "MIT", "input": {}}, [setting])


def test_a_written_manifest_is_read_back_as_it_was():
    """Whatever stands in its texts."""
    values = {
        "name": 'with "quotes", \\ and ünïcode',
        "views": ["A4C"],
        "input": {"mean": [32.7, 1e-07], "size": 112, "flag": True, "absent": None},
        "artefacts": {"fp32": {"file": "model.onnx"}},
        "output": {"values": [{"name": "age", "unit": "a"}]},
    }

    assert tomllib.loads(to_toml(values)) == {**values, "input": {"mean": [32.7, 1e-07], "size": 112, "flag": True}}


def test_what_is_wrong_is_told_of_the_engine_not_of_a_folder_that_is_gone(tmp_path):
    """The import writes beside the place, and removes that again."""
    with pytest.raises(ManifestError) as caught:
        import_engine(
            "onnx", [make_file(tmp_path)], ImportOptions("mine", settings=(*OUTLINES, "task=other")), tmp_path
        )

    assert str(caught.value).startswith("mine/manifest.toml: task: expected ")


def test_any_name_and_any_text_of_a_manifest_is_written_as_toml(tmp_path):
    """A metric's name has blanks and brackets, a licence any script."""
    values = {"licence": "\U0001f600 \x7f", "metrics": {"LV Dice (A4C)": 0.9, "a.b": 1.0}, "x y": {"z": {"k k": 1}}}

    assert tomllib.loads(to_toml(values)) == values
