"""An engine folder is believed only when everything in it agrees."""

from __future__ import annotations

import hashlib

import pytest

from echo_scp.errors import ManifestError
from echo_scp.inference.manifest import read_manifest

ARTEFACT = b"weights"
TEXT = f"""\
schema = 1
name = "mine"
version = "1.0.0"
task = "view"
licence = "MIT"
[artefacts.fp32]
file = "model.onnx"
sha256 = "{hashlib.sha256(ARTEFACT).hexdigest()}"
[input]
tensor = "frames"
size = 64
mean = 0.0
std = 1.0
[output]
tensor = "logits"
labels = ["A4C", "other"]
[decision]
threshold = 0.5
frames_per_clip = 4
[training]
data = "none"
script = "none"
seed = 1
[metrics]
accuracy = 0.5
"""


def make_folder(tmp_path, text=TEXT, artefact=ARTEFACT):
    (tmp_path / "manifest.toml").write_text(text)
    (tmp_path / "model.onnx").write_bytes(artefact)
    return tmp_path


def test_a_complete_folder_is_read(tmp_path):
    """Name, hash and labels are there for the reports."""
    manifest = read_manifest(make_folder(tmp_path))

    identity = manifest.identity("fp32")
    assert (identity.name, identity.version) == ("mine", "1.0.0")
    assert identity.sha256 == hashlib.sha256(ARTEFACT).hexdigest()
    assert manifest.output.labels == ("A4C", "other")
    assert manifest.metrics == {"accuracy": 0.5}


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [("threshold = 0.5", "threshold = 0.6", True), ("accuracy = 0.5", "accuracy = 0.6", False)],
    ids=["how it is used", "what was measured of it"],
)
def test_another_use_of_the_same_weights_is_another_engine(tmp_path, old, new, changes):
    """What a number depends on tells engines apart; what is only told of them does not."""
    before = read_manifest(make_folder(tmp_path)).identity("fp32")

    after = read_manifest(make_folder(tmp_path, TEXT.replace(old, new))).identity("fp32")

    assert (after.fingerprint != before.fingerprint) is changes


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('task = "view"', 'task = "magic"', "task"),
        ("schema = 1", "schema = 2", "schema"),
        ("size = 64", "size = 4", "input.size"),
        ('"A4C", "other"', '"A4C", "B7"', r"output\.labels: .*not B7"),
        ("[decision]\nthreshold = 0.5\nframes_per_clip = 4\n", "", "decision: expected a table"),
        ('licence = "MIT"\n', "", "licence"),
        ('licence = "MIT"', 'license = "MIT"', "licen"),
        ('task = "view"', 'task = "segmentation"', "background"),
        ("std = 1.0", "std = 0.0", "input.std"),
        ('file = "model.onnx"', 'file = "../model.onnx"', r"artefacts\.fp32\.file"),
        ("[artefacts.fp32]", "[artefacts.int8]", r"artefacts: .*\[artefacts\.fp32\]"),
        ("[artefacts.fp32]", "[artefacts.fp64]", "artefacts.fp64"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path, old, new, field):
    """The message says which file, which field and what was expected."""
    folder = make_folder(tmp_path, TEXT.replace(old, new))

    with pytest.raises(ManifestError, match=field) as raised:
        read_manifest(folder)

    assert str(folder / "manifest.toml") in str(raised.value)


def test_an_artefact_of_another_hash_is_refused(tmp_path):
    """Weights that were changed or damaged never run."""
    with pytest.raises(ManifestError, match=r"artefacts\.fp32\.sha256"):
        read_manifest(make_folder(tmp_path, artefact=b"other weights"))


def test_a_missing_artefact_is_named(tmp_path):
    """A half-copied folder says what is missing."""
    folder = make_folder(tmp_path)
    (folder / "model.onnx").unlink()

    with pytest.raises(ManifestError, match=r"model\.onnx"):
        read_manifest(folder)


def test_a_folder_without_manifest_is_named(tmp_path):
    """An engine name that does not exist is a clear error."""
    with pytest.raises(ManifestError, match="a readable manifest"):
        read_manifest(tmp_path / "absent")


def test_every_precision_has_its_own_file_and_hash(tmp_path):
    """The report names the artefact that ran."""
    digest = hashlib.sha256(b"small").hexdigest()
    (tmp_path / "small.onnx").write_bytes(b"small")
    table = f'[artefacts.int8]\nfile = "small.onnx"\nsha256 = "{digest}"\n'

    manifest = read_manifest(make_folder(tmp_path, TEXT + table))

    assert manifest.identity("int8").sha256 == digest
    assert manifest.artefact_path("int8") == tmp_path / "small.onnx"


def test_a_damaged_artefact_of_any_precision_is_refused(tmp_path):
    """It is found at the start, not when somebody switches to it."""
    (tmp_path / "small.onnx").write_bytes(b"damaged")
    table = f'[artefacts.int8]\nfile = "small.onnx"\nsha256 = "{"0" * 64}"\n'

    with pytest.raises(ManifestError, match=r"artefacts\.int8\.sha256"):
        read_manifest(make_folder(tmp_path, TEXT + table))
