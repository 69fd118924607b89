"""Which folder runs under a name: the site's before the shipped one, and a pin before both."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from echo_scp.config import Config
from echo_scp.errors import ConfigurationError, ManifestError
from echo_scp.inference.catalogue import EngineFolder, engine_folders, find_engine, load_engines, shipped_folder
from echo_scp.inference.pins import Decision, write_history
from tests.unit.inference.engines import make_engine, site_config

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def pin_to(site, sha256, version="1"):
    write_history(site, (Decision(engine="view", action="pin", version=version, sha256=sha256, at=NOW),))


def test_without_a_site_folder_the_shipped_engine_runs(tmp_path):
    """A fresh data folder needs no engines folder."""
    found = find_engine("view", site_config(tmp_path / "absent"))

    assert found == EngineFolder(shipped_folder() / "view", "shipped")


def test_the_site_is_looked_up_before_the_package(tmp_path):
    """A folder of the same name replaces the shipped engine; others stay."""
    make_engine(tmp_path / "view", "7.0.0")

    assert find_engine("view", site_config(tmp_path)).path == tmp_path / "view"
    assert find_engine("lv-apical", site_config(tmp_path)).source == "shipped"


def test_a_version_beside_it_does_not_run_by_itself(tmp_path):
    """NAME@VERSION waits for a pin."""
    make_engine(tmp_path / "view@7.0.0", "7.0.0")

    assert find_engine("view", site_config(tmp_path)).source == "shipped"


def test_a_pin_chooses_the_folder_with_that_very_manifest(tmp_path):
    """The version beside runs, not the folder NAME."""
    make_engine(tmp_path / "view", "7.0.0")
    other = EngineFolder(make_engine(tmp_path / "view@old", "6.0.0"), "site")
    pin_to(tmp_path, other.sha256(), "6.0.0")

    assert find_engine("view", site_config(tmp_path)) == other


def test_a_pin_that_nothing_matches_names_both_and_the_way_out(tmp_path):
    """One character of the manifest changed: refused with both versions, both hashes, the folder and the command."""
    folder = make_engine(tmp_path / "view", "7.0.0")
    wanted = EngineFolder(folder, "site").sha256()
    pin_to(tmp_path, wanted, "7.0.0")
    manifest = folder / "manifest.toml"
    manifest.write_text(manifest.read_text().replace("7.0.0", "7.0.1"))
    found = hashlib.sha256(manifest.read_bytes()).hexdigest()

    with pytest.raises(ManifestError) as raised:
        find_engine("view", site_config(tmp_path))

    text = str(raised.value)
    assert all(part in text for part in ("pins.toml", "7.0.0", wanted, "7.0.1", found, str(folder), "engines pin view"))


def test_a_folder_that_is_being_written_is_not_seen(tmp_path):
    """A name with a dot in front is nobody's engine."""
    make_engine(tmp_path / ".incoming-1", "7.0.0")

    assert [folder.source for folder in engine_folders(site_config(tmp_path))] == ["shipped"] * 2


def test_a_manifest_of_another_name_than_its_folder_is_refused(tmp_path):
    """Else `list`, the configuration and the report would speak of different engines."""
    folder = EngineFolder(make_engine(tmp_path / "mine", "1.0.0"), "site")

    with pytest.raises(ManifestError, match="name: expected 'mine'"):
        folder.read()


def test_an_unknown_name_is_told_with_its_key_and_the_known_ones(tmp_path):
    """The administrator mistyped view_engine."""
    with pytest.raises(ConfigurationError, match=r"analysis\.view_engine: no engine 'veiw'.*lv-apical, view"):
        load_engines(site_config(tmp_path, view_engine="veiw"))


def test_an_engine_of_another_task_is_refused(tmp_path):
    """Segmentation where a view engine belongs."""
    with pytest.raises(ManifestError, match=r"task: expected 'view', got 'segmentation'"):
        load_engines(site_config(tmp_path, view_engine="lv-apical"))


def test_by_default_the_sites_folder_is_in_the_data_folder(tmp_path):
    """Nothing to configure before the first import."""
    config = Config(data_folder=tmp_path)

    assert config.analysis.engines_folder == tmp_path / "engines"
    assert not (tmp_path / "engines").exists()
