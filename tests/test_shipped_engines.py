"""The engines that travel with the package: readable, true to their hash, and as good as their manifest says."""

from __future__ import annotations

import pytest

from echo_scp.config import AnalysisConfig
from echo_scp.inference.catalogue import list_manifests, load_engines, shipped_folder


@pytest.mark.parametrize("manifest", list_manifests(shipped_folder()), ids=lambda manifest: manifest.name)
def test_a_shipped_engine_has_a_card_that_names_its_artefact(manifest):
    """The model card is of these very weights and states their licence."""
    card = (manifest.folder / "MODEL_CARD.md").read_text()

    assert all(artefact.sha256 in card for artefact in manifest.artefacts.values())
    assert manifest.licence in card
    assert manifest.metrics


@pytest.mark.parametrize("manifest", list_manifests(shipped_folder()), ids=lambda manifest: manifest.name)
def test_a_shipped_engine_says_nothing_of_the_machine_that_made_it(manifest):
    """Exporters note the stack at each node, with the paths of its files."""
    for artefact in manifest.artefacts.values():
        content = (manifest.folder / artefact.file).read_bytes()
        assert b"stack_trace" not in content, artefact.file
        assert b"site-packages" not in content, artefact.file


def test_the_default_engines_load():
    """View and segmentation, as the default configuration names them."""
    engines = load_engines(AnalysisConfig())

    assert [identity.name for identity in engines.identities] == ["view", "lv-apical"]


def test_the_segmentation_states_what_was_asked_of_it():
    """LV Dice on valid patients beyond the agreement of observers (0.92), and what was measured on A2C."""
    metrics = load_engines(AnalysisConfig()).segmentation.manifest.metrics

    assert metrics["camus_a4c_valid_lv_dice"] >= 0.935
    assert metrics["camus_a2c_test_lv_dice"] > 0.85
