"""Pin, roll back, add: what runs changes in one step, and whatever ran can run again."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

from echo_scp.errors import EngineError, ManifestError
from echo_scp.inference import catalogue
from echo_scp.inference.catalogue import EngineFolder, find_engine, shipped_folder
from echo_scp.inference.pins import read_history
from echo_scp.inference.site import add, incoming
from echo_scp.inference.versions import pin, release, rollback
from tests.unit.inference.engines import make_engine, site_config

NOW = datetime(2026, 1, 5, 10, 15, tzinfo=UTC)


def running(config):
    return find_engine("view", config).version()


def shipped_version():
    return EngineFolder(shipped_folder() / "view", "shipped").version()


def test_a_pinned_version_runs_and_a_rollback_returns_to_what_ran_before(tmp_path):
    """From the shipped engine to the site's and back."""
    config = site_config(tmp_path)
    make_engine(tmp_path / "view@7.0.0", "7.0.0")

    pin("view", "7.0.0", config, NOW)

    assert running(config) == "7.0.0"
    rollback("view", config, NOW)
    assert running(config) == shipped_version()
    assert [decision.action for decision in read_history(tmp_path)] == ["before", "pin", "rollback"]


def test_each_rollback_goes_one_further_back(tmp_path):
    """Two pins, two rollbacks, then nothing is left."""
    config = site_config(tmp_path)
    for version in ("7.0.0", "8.0.0"):
        make_engine(tmp_path / f"view@{version}", version)
        pin("view", version, config, NOW)

    assert rollback("view", config, NOW).version == "7.0.0"
    assert rollback("view", config, NOW).version == shipped_version()
    with pytest.raises(EngineError, match="nothing is known to have run before"):
        rollback("view", config, NOW)


def test_a_pinned_shipped_engine_outlives_an_upgrade_of_the_package(tmp_path, monkeypatch):
    """The site keeps a copy; the new package's version does not run."""
    config = site_config(tmp_path / "site")
    old = shipped_version()
    pin("view", old, config, NOW)
    make_engine(tmp_path / "package" / "view", "99.0.0")

    monkeypatch.setattr(catalogue, "shipped_folder", lambda: tmp_path / "package")

    assert running(config) == old
    release("view", config, NOW)
    assert running(config) == "99.0.0"


def test_what_a_pin_replaced_outlives_an_upgrade_too(tmp_path, monkeypatch):
    """A rollback to the shipped engine finds its copy."""
    config, old = site_config(tmp_path / "site"), shipped_version()
    make_engine(tmp_path / "site" / "view@7.0.0", "7.0.0")
    pin("view", "7.0.0", config, NOW)
    make_engine(tmp_path / "package" / "view", "99.0.0")
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: tmp_path / "package")

    rollback("view", config, NOW)

    assert running(config) == old


def test_a_version_is_also_named_by_the_start_of_a_hash(tmp_path):
    """The manifest's hash or an artefact's, as reports state it."""
    config = site_config(tmp_path)
    folder = EngineFolder(make_engine(tmp_path / "mine", "7.0.0", name="mine"), "site")

    by_manifest = pin("mine", folder.sha256()[:12], config, NOW)
    by_artefact = pin("mine", folder.artefact_hashes()[0].upper(), config, NOW)

    assert by_manifest == by_artefact
    assert by_manifest.sha256 == folder.sha256()


def test_pinning_what_is_pinned_changes_nothing(tmp_path):
    """The history holds decisions, not commands."""
    config = site_config(tmp_path)
    pin("view", shipped_version(), config, NOW)

    pin("view", shipped_version(), config, NOW)

    assert len(read_history(tmp_path)) == 1
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


def test_a_shipped_engine_is_copied_once(tmp_path):
    """However often it is pinned and released."""
    config = site_config(tmp_path)
    for version in ("7.0.0", "8.0.0"):
        make_engine(tmp_path / f"view@{version}", version)
        pin("view", version, config, NOW)
        release("view", config, NOW)

    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 3


def test_an_unknown_version_is_told_with_the_known_ones(tmp_path):
    """With their hashes and folders."""
    with pytest.raises(EngineError, match="no version is '9'; give a version") as raised:
        pin("view", "9", site_config(tmp_path), NOW)

    assert shipped_version() in str(raised.value)
    assert not any(tmp_path.iterdir())


def test_two_engines_of_one_version_must_be_told_apart_by_hash(tmp_path):
    """A pin is never a guess."""
    make_engine(tmp_path / "view@a", "7.0.0")
    other = make_engine(tmp_path / "view@b", "7.0.0")
    with (other / "manifest.toml").open("a") as file:
        file.write("other_measure = 1.0\n")

    with pytest.raises(EngineError, match=r"several are '7\.0\.0'"):
        pin("view", "7.0.0", site_config(tmp_path), NOW)


def test_a_damaged_engine_is_not_pinned(tmp_path):
    """What cannot run is refused before anything is written."""
    folder = make_engine(tmp_path / "view@7.0.0", "7.0.0")
    for path in folder.glob("*.onnx"):
        path.write_bytes(b"damaged")

    with pytest.raises(ManifestError, match="sha256"):
        pin("view", "7.0.0", site_config(tmp_path), NOW)

    assert not (tmp_path / "pins.toml").exists()


def test_a_version_of_another_task_than_its_role_is_not_pinned(tmp_path):
    """The node would refuse to start with it."""
    folder = tmp_path / "view@7.0.0"
    shutil.copytree(shipped_folder() / "lv-apical", folder)
    manifest = folder / "manifest.toml"
    manifest.write_text(manifest.read_text().replace('name = "lv-apical"', 'name = "view"'))
    version = EngineFolder(folder, "site").sha256()

    with pytest.raises(ManifestError, match="task: expected 'view'"):
        pin("view", version, site_config(tmp_path), NOW)


def test_a_rollback_to_a_folder_that_is_gone_says_what_to_put_back(tmp_path):
    """And leaves the pin as it was."""
    config = site_config(tmp_path)
    for version in ("7.0.0", "8.0.0"):
        make_engine(tmp_path / f"view@{version}", version)
        pin("view", version, config, NOW)
    shutil.rmtree(tmp_path / "view@7.0.0")

    with pytest.raises(ManifestError, match=r"view@7\.0\.0.*put it back"):
        rollback("view", config, NOW)

    assert running(config) == "8.0.0"


@pytest.mark.parametrize("command", [rollback, release])
def test_a_refused_command_makes_no_folder(tmp_path, command):
    """Nothing was pinned, so nothing is written."""
    with pytest.raises(EngineError):
        command("view", site_config(tmp_path / "site"), NOW)

    assert not (tmp_path / "site").exists()


def test_a_new_name_is_added_under_that_name(tmp_path):
    """It runs as soon as the configuration names it."""
    config = site_config(tmp_path / "site")
    with incoming(config) as path:
        make_engine(path, "1.0.0", name="mine")
        added = add(path, config)

    assert added.path == tmp_path / "site" / "mine"
    assert find_engine("mine", config) == added


def test_another_version_of_a_known_name_is_added_beside_it(tmp_path):
    """What runs stays until it is pinned."""
    config = site_config(tmp_path)
    with incoming(config) as path:
        make_engine(path, "7.0.0")
        added = add(path, config)

    assert added.path == tmp_path / "view@7.0.0"
    assert running(config) == shipped_version()


def test_the_same_engine_again_is_not_added_twice(tmp_path):
    """A command that is repeated gives the folder that is there."""
    config = site_config(tmp_path)
    folders = []
    for _ in range(2):
        with incoming(config) as path:
            make_engine(path, "7.0.0")
            folders.append(add(path, config))

    assert folders[0] == folders[1]
    assert [path.name for path in tmp_path.iterdir()] == ["view@7.0.0"]


def test_another_content_under_a_known_version_is_refused(tmp_path):
    """A version names one content for ever."""
    config = site_config(tmp_path)
    with incoming(config) as path:
        make_engine(path, shipped_version())
        with (path / "manifest.toml").open("a") as file:
            file.write("other_measure = 1.0\n")

        with pytest.raises(EngineError, match="another content"):
            add(path, config)


def test_what_was_not_added_leaves_nothing_behind(tmp_path):
    """An import that fails half-way."""
    config = site_config(tmp_path)
    with incoming(config) as path:
        make_engine(path, "7.0.0")
        (path / "manifest.toml").write_text("broken")

        with pytest.raises(ManifestError):
            add(path, config)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [release, rollback])
def test_a_pin_without_which_nothing_would_run_stays(tmp_path, command):
    """No folder is called plainly so: the next start would fail."""
    config = site_config(tmp_path)
    make_engine(tmp_path / "mine", "1.0.0", name="mine")
    pin("mine", "1.0.0", config, NOW)
    if command is rollback:
        release("mine", config, NOW)
        make_engine(tmp_path / "mine@2.0.0", "2.0.0", name="mine")
        pin("mine", "2.0.0", config, NOW)
        rollback("mine", config, NOW)
    (tmp_path / "mine").rename(tmp_path / "mine@1.0.0")
    before = read_history(tmp_path)

    with pytest.raises(EngineError, match="no folder is called plainly 'mine'"):
        command("mine", config, NOW)

    assert read_history(tmp_path) == before
