"""Engines as an administrator meets them: added, checked, pinned, rolled back; refused at start when wrong."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import pytest

from echo_scp.inference.catalogue import shipped_folder

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with everything below tmp_path/data; the folder is not there yet."""
    path = tmp_path / "node.toml"
    path.write_text(f"data_folder = '{tmp_path / 'data'}'\n[receive]\naddress = '127.0.0.1'\nport = 0\n")
    return path


@pytest.fixture
def engines(config: Path) -> Path:
    """The engines folder of the site."""
    folder = config.parent / "data" / "engines"
    folder.mkdir(parents=True)
    return folder


def copy_view(folder: Path, version: str) -> Path:
    shutil.copytree(shipped_folder() / "view", folder)
    edit(folder, r'^version = ".*"', f'version = "{version}"')
    return folder


def edit(folder: Path, pattern: str, text: str) -> None:
    manifest = folder / "manifest.toml"
    changed, count = re.subn(pattern, text, manifest.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1, pattern
    manifest.write_text(changed)


def test_list_tells_what_runs_and_makes_no_folder(command, config):
    """A program reads it as JSON; nothing is written anywhere."""
    done = command("engines", "list", "--json", "--config", config)

    assert done.returncode == 0, done.stderr
    listed = {engine["name"]: engine for engine in json.loads(done.stdout)["engines"]}
    assert listed["lv-apical"]["roles"] == ["segmentation_engine"]
    assert listed["view"]["source"] == "shipped"
    assert "lv-apical" in command("engines", "list", "--config", config).stdout
    assert not (config.parent / "data").exists()


def test_show_tells_where_the_weights_came_from(command, config):
    """Hashes, metrics, licence, the model card's head."""
    done = command("engines", "show", "lv-apical", "--config", config)

    assert done.returncode == 0, done.stderr
    for text in ("CC-BY-NC-SA-4.0", "manifest sha256", "fp32 sha256", "onnxruntime, fp32", "# lv-apical", "Not pinned"):
        assert text in done.stdout


def test_an_engine_is_added_pinned_and_rolled_back(command, config, engines):
    """Copying a version beside changes nothing; the pin does, at the next start; the rollback undoes it."""
    copy_view(engines / "view@77.0.0", "77.0.0")

    before = command("config", "check", "--config", config)
    pinned = command("engines", "pin", "view", "77.0.0", "--config", config)
    after = command("config", "check", "--config", config)
    rolled_back = command("engines", "rollback", "view", "--config", config)
    at_last = command("config", "check", "--config", config)

    assert pinned.returncode == rolled_back.returncode == 0, pinned.stderr + rolled_back.stderr
    assert "engine view 77.0.0" not in before.stdout
    assert "engine view 77.0.0" in after.stdout
    assert "(site, pinned)" in after.stdout
    assert "next start" in pinned.stdout
    assert "engine view 77.0.0" not in at_last.stdout
    shown = command("engines", "show", "view", "--config", config).stdout
    assert re.findall(r"UTC  (\w+)", shown) == ["before", "pin", "rollback"]
    assert (engines / "view@77.0.0" / "model.onnx").is_file()


def test_a_node_refuses_to_start_when_the_folder_holds_something_else_than_the_pin(command, config, engines):
    """Both are named, and the way out; taking the pin off is one."""
    folder = copy_view(engines / "view", "77.0.0")
    assert command("engines", "pin", "view", "77.0.0", "--config", config).returncode == 0
    edit(folder, r'^version = ".*"', 'version = "78.0.0"')

    for words in (("config", "check"), ("serve",)):
        refused = command(*words, "--config", config)

        assert refused.returncode == 1
        assert "pins.toml: view: expected version 77.0.0" in refused.stderr
        assert "found 78.0.0" in refused.stderr
        assert "echo-scp engines pin view" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert command("engines", "pin", "view", "--release", "--config", config).returncode == 0
    assert "engine view 78.0.0" in command("config", "check", "--config", config).stdout


def corrupt(folder: Path) -> None:
    """Not a network, though its hash is right."""
    artefact = folder / "model.onnx"
    artefact.write_bytes(b"not a network")
    edit(folder, r'^sha256 = ".*"', f'sha256 = "{hashlib.sha256(b"not a network").hexdigest()}"')


def truncate(folder: Path) -> None:
    artefact = folder / "model.onnx"
    artefact.write_bytes(artefact.read_bytes()[:-1000])


def remove(folder: Path) -> None:
    (folder / "model.onnx").unlink()


def spoil(pattern: str, text: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder, pattern, text)


LABELS = r"^labels = .*"
SPOILT = {
    "corrupt artefact": (corrupt, ("model.onnx", "ONNX Runtime cannot load it")),
    "wrong hash": (truncate, ("manifest.toml: artefacts.fp32.sha256", "the hash of model.onnx")),
    "no artefact": (remove, ("manifest.toml: artefacts.fp32.file", "a readable file model.onnx")),
    "wrong shape": (spoil(r"^size = .*", "size = 64"), ("manifest.toml: input.size: expected",)),
    "wrong tensor": (spoil('^tensor = "frames"', 'tensor = "x"'), ("manifest.toml: input.tensor", "frames")),
    "unknown task": (spoil("^task = .*", 'task = "magic"'), ("manifest.toml: task", "'view'", "got 'magic'")),
    "labels missing": (spoil(LABELS, 'labels = ["A4C", "other"]'), ("manifest.toml: output.labels: expected",)),
    "unknown label": (spoil(LABELS, 'labels = ["A4C", "A9C"]'), ("manifest.toml: output.labels", "A9C", "PSAX")),
    "unknown key": (spoil("^licence", 'colour = "red"\nlicence'), ("manifest.toml: colour",)),
    "other name": (spoil("^name = .*", 'name = "other"'), ("manifest.toml: name: expected 'view'",)),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_wrong_engine_is_refused_at_start(fault, command, config, engines):
    """`config check` and `serve` name the file, the field and what was expected, and end with status 1."""
    change, expected = SPOILT[fault]
    change(copy_view(engines / "view", "77.0.0"))

    for words in (("config", "check"), ("serve",)):
        refused = command(*words, "--config", config)

        assert refused.returncode == 1
        for text in (str(engines / "view"), *expected):
            assert text in refused.stderr
        assert "Traceback" not in refused.stderr
    assert {path.name for path in (config.parent / "data").iterdir()} == {"engines"}


def test_an_engine_of_another_task_is_refused_at_start(command, config):
    """The segmentation engine cannot tell views."""
    config.write_text(config.read_text() + '[analysis]\nview_engine = "lv-apical"\n')

    refused = command("config", "check", "--config", config)

    assert refused.returncode == 1
    assert "task: expected 'view', got 'segmentation'" in refused.stderr


def test_a_wrong_engines_folder_is_refused(command, config, tmp_path):
    """The shipped engines must not run silently in place of the site's."""
    config.write_text(config.read_text() + f"[analysis]\nengines_folder = '{tmp_path / 'egines'}'\n")

    refused = command("config", "check", "--config", config)

    assert refused.returncode == 1
    assert "analysis.engines_folder" in refused.stderr


def test_verify_passes_the_shipped_engines(command, config):
    """Every engine, with known answers."""
    done = command("engines", "verify", "--config", config)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("passed") == 10
    assert "LV Dice" in done.stdout


def test_verify_ends_with_status_1_and_says_what_to_do(command, config, engines):
    """One damaged engine among sound ones."""
    truncate(copy_view(engines / "view", "77.0.0"))

    done = command("engines", "verify", "view", "--config", config)

    assert done.returncode == 1
    assert "failed manifest and hashes" in done.stdout
    assert "to do:" in done.stdout


def test_bench_states_minimum_median_and_p95(command, config):
    """A row per batch size."""
    done = command("engines", "bench", "view", "--batch", 1, "--batch", 2, "--rounds", 2, "--config", config)

    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("min ms", "median ms", "p95 ms", "frames/s"))
    assert len(re.findall(r"^ fp32 +[12] ", done.stdout, re.MULTILINE)) == 2


def test_an_imported_network_is_added_and_used_after_a_pin(command, config, tmp_path):
    """By its manifest, as another version of a known name; the shipped one runs until the pin."""
    network, manifest = shipped_folder() / "view" / "model.onnx", shipped_folder() / "view" / "manifest.toml"
    words = ("engines", "import", "onnx", network, manifest, "--name", "view", "--version", "77.0.0")

    done = command(*words, "--config", config)

    assert done.returncode == 0, done.stderr
    assert "engines pin view 77.0.0" in done.stdout
    assert "engine view 77.0.0" not in command("config", "check", "--config", config).stdout
    assert command("engines", "pin", "view", "77.0.0", "--config", config).returncode == 0
    assert "engine view 77.0.0" in command("config", "check", "--config", config).stdout
    assert [path.name for path in (tmp_path / "data" / "engines").glob(".*")] == []


def test_an_import_that_fails_leaves_nothing_behind(command, config, tmp_path):
    """A file that is no network."""
    network = tmp_path / "notes.onnx"
    network.write_text("no network")

    done = command("engines", "import", "onnx", network, "--config", config)

    assert done.returncode == 1
    assert "notes.onnx" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "data").rglob("*.onnx")) == []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a file, served from this machine."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "weights.pt").write_bytes(b"weights")
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, name="file-server")
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/weights.pt"
        running.shutdown()
        thread.join()


def test_a_published_file_is_kept_with_the_right_hash_only(command, server, tmp_path):
    """Without one the command says what it got; with another nothing is kept."""
    out, right = tmp_path / "out", hashlib.sha256(b"weights").hexdigest()

    unknown = command("engines", "download", server, "--out", out)
    wrong = command("engines", "download", server, "--out", out, "--sha256", "0" * 64)

    assert (unknown.returncode, wrong.returncode) == (1, 1)
    assert f"--sha256 {right}" in unknown.stderr
    assert not (out / "weights.pt").exists()
    kept = command("engines", "download", server, "--out", out, "--sha256", right)
    assert kept.returncode == 0, kept.stderr
    assert kept.stdout.strip() == str(out / "weights.pt")
    assert (out / "weights.pt").read_bytes() == b"weights"


@pytest.mark.skipif(NVIDIA_DRIVER.exists(), reason="this machine can build plans")
def test_build_without_a_gpu_is_one_clear_error(command, config):
    """Status 1, what is missing and what to do, no traceback."""
    done = command("engines", "build", "view", "--config", config)

    assert done.returncode == 1
    assert re.search("TensorRT|driver|GPU", done.stderr)
    assert "Traceback" not in done.stderr


def test_explain_draws_a_picture(command, config, templates, tmp_path):
    """Of a phantom's A4C clip, by the view engine."""
    out = tmp_path / "why.png"

    done = command("engines", "explain", "view", templates[0], "--out", out, "--frame", 5, "--config", config)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("view A4C, 0.")
    picture = cv2.imread(str(out))
    assert picture.shape == (880, 1000, 3)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("show", "absent"), "no engine 'absent'"),
        (("show", "view@99"), "no version is '99'"),
        (("pin", "view", "99"), "no version is '99'"),
        (("pin", "view"), "either a VERSION to pin, or --release"),
        (("pin", "view", "--release"), "view: is not pinned"),
        (("rollback", "view"), "nothing is known to have run before"),
        (("explain", "view", __file__, "--out", "x.png"), "test_engines_command.py"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_one_clear_line(arguments, expected, command, config):
    """Status 1, no traceback, no folder made."""
    done = command("engines", *arguments, "--config", config)

    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert not (config.parent / "data").exists()
