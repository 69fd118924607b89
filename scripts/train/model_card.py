"""Write MODEL_CARD.md beside a manifest; every number is read from the manifest or measured here.

python scripts/train/model_card.py --data FOLDER --engine engines/lv-apical
python scripts/train/model_card.py --data FOLDER --engine engines/view
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import camus
from phantom_ef import PhantomResult, measure_phantoms
from robustness import dice_by_change

from echo_scp.inference.engine import Engine
from echo_scp.inference.manifest import Manifest, read_manifest
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine

_STRUCTURES = (("lv", "LV cavity"), ("myocardium", "LV myocardium"), ("la", "left atrium"))
_USE = """## Use

Research. Not a medical device; a physician decides. Weights: {licence}, because CAMUS is; non-commercial.
Trained by `{script}` with seed {seed}. sha256 of each artefact:

{artefacts}
"""
_CAMUS = """CAMUS: S. Leclerc et al., "Deep Learning for Segmentation using an Open Large-Scale Dataset in 2D
Echocardiography", IEEE Transactions on Medical Imaging 38(9), 2019; CC BY-NC-SA 4.0."""

_SEGMENTATION = """# lv-apical {version}

Outlines the LV cavity, the LV myocardium and the left atrium on apical four and two chamber frames. A U-Net of 3.2 M
parameters on the features of EfficientNet-Lite0 (M. Tan and Q. Le, ICML 2019; R. Liu, 2020), which started from its
ImageNet weights (Apache-2.0); input one grey frame, isotropic, its longer side {size}, letterboxed to multiples of
{multiple_of}.

## Data

{camus}

Training: A4C frames at end-diastole and end-systole of 399 patients, traced by experts. The checkpoint was chosen on
the {valid_patients} valid patients, so their figures are slightly flattering. Synthetic frames of a drawn heart with
known labels, both views, are about one in nine of the training frames. A2C was learnt from those and from A4C: real A2C
is only tested, on {test_patients} patients of the same hospital. One hospital, one vendor.

## Dice on real frames (95 % bootstrap interval over patients)

{dice}

Observers of CAMUS agree with each other at about 0.92 for the LV cavity.

## One change at a time (valid frames, mean Dice; the network's own grid, so slightly above the table)

{robustness}

## EF on synthetic clips, by the product's own road

{phantoms}

The synthetic heart is symmetric and never out of plane: this checks the road, not the clinical accuracy.

## Known failures

- A2C rests on {test_patients} real patients. Other vendors, contrast, children and apical aneurysms are untested.
- Frames that cut off the apex or a wall give a ventricle that ends at the sector's edge: volumes are too small.
- EF against a reference method was not measured here; Dice says how outlines agree, not how volumes do.
- The myocardium's outer border is the least certain of the three.
- EF on synthetic clips comes out low, most where EF is high: outlines at end-systole run into the wall.

{use}"""

_VIEW = """# view {version}

Says whether a frame shows {views} or something else. EfficientNet-Lite0 (M. Tan and Q. Le, ICML 2019; R. Liu, 2020)
from the encoder of `lv-apical`, with a linear head; input one grey frame, isotropic, letterboxed to {size} x {size};
{frames} frames per clip, averaged; below {threshold} the answer is "other".

## Data

Atlas frames of three sources (cardioML, CC BY-NC-SA 4.0; the TTE47 gallery, whose terms are **not verified**;
echo-plax-segmentation, called public domain by its source); CAMUS A4C training frames and the frames of five A2C
patients; synthetic sectors and traces. Doppler, M-mode, suprasternal and all else are "other".

{camus}

## Measured

Each real source was left out once (of CAMUS as many A4C frames as A2C ones are scored); those frames also set the
temperature and the threshold, so the figures are slightly flattering. The networks for that were trained for fewer
steps than the shipped one. Of CAMUS the encoder has seen A4C frames and their outlines, though no view. `measured` is
what is taken for A4C or A2C and passes the checks of anatomy and trust (lv-apical 2.0.0), here on single frames; its
precision set the threshold. `camus_a4c_valid` is of patients that no training saw, but of a familiar machine. 95 %
intervals are not given: the frames of one source are too few and too alike for one to mean anything.

{metrics}

## Known failures

- Labelled frames are few, PLAX comes from ten people, A2C from about twenty, A3C, A5C and subcostal are two to four
  frames each: on another machine expect less.
- Apical views other than A4C and A2C look like them; A5C and A3C are the likeliest to be taken for A4C.
- A turned or strongly mirrored acquisition, a cropped sector or colour flow lowers the confidence.

{use}"""


def segmentation_card(engine: Engine, valid: camus.LabelledFrames) -> str:
    """Return the card of a segmentation engine, after measuring robustness and synthetic EF."""
    manifest = engine.manifest
    metrics = manifest.metrics
    return _SEGMENTATION.format(
        version=manifest.version,
        size=manifest.input.size,
        multiple_of=manifest.input.shortest,
        camus=_CAMUS,
        valid_patients=int(metrics["camus_a4c_valid_patients"]),
        test_patients=int(metrics["camus_a2c_test_patients"]),
        dice=_dice_table(metrics),
        robustness=_robustness_table(engine, valid),
        phantoms=_phantom_table(measure_phantoms(engine)),
        use=_use(manifest),
    )


def view_card(manifest: Manifest) -> str:
    """Return the card of a view engine."""
    if manifest.decision is None:
        raise SystemExit(f"{manifest.folder}: not a view engine")
    rows = ["| figure | value |", "|---|---|", *(f"| {name} | {value:g} |" for name, value in manifest.metrics.items())]
    return _VIEW.format(
        version=manifest.version,
        size=manifest.input.size,
        views=", ".join(manifest.output.labels[:-1]),
        frames=manifest.decision.frames_per_clip,
        threshold=manifest.decision.threshold,
        camus=_CAMUS,
        metrics="\n".join(rows),
        use=_use(manifest),
    )


def _use(manifest: Manifest) -> str:
    training = manifest.training
    return _USE.format(
        licence=manifest.licence, script=training.script, seed=training.seed, artefacts=_artefacts(manifest)
    )


def _artefacts(manifest: Manifest) -> str:
    return "\n".join(f"- {precision}: `{artefact.sha256}`" for precision, artefact in manifest.artefacts.items())


def _dice_table(metrics: Mapping[str, float]) -> str:
    columns = {"camus_a4c_valid": "A4C, valid patients", "camus_a2c_test": "A2C, test patients"}
    if "camus_a4c_valid_int8_lv_dice" in metrics:
        columns["camus_a4c_valid_int8"] = "A4C, valid patients, int8"
    rows = ["| structure | " + " | ".join(columns.values()) + " |", "|---" * (1 + len(columns)) + "|"]
    for key, name in _STRUCTURES:
        rows.append(
            f"| {name} | " + " | ".join(_interval(metrics, f"{prefix}_{key}_dice") for prefix in columns) + " |"
        )
    return "\n".join(rows)


def _interval(metrics: Mapping[str, float], name: str) -> str:
    return f"{metrics[name]:.3f} ({metrics[name + '_low95']:.3f} to {metrics[name + '_high95']:.3f})"


def _robustness_table(engine: Engine, valid: camus.LabelledFrames) -> str:
    rows = ["| change | LV cavity | LV myocardium | left atrium |", "|---|---|---|---|"]
    for name, dice in dice_by_change(engine, valid).items():
        rows.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in dice) + " |")
    return "\n".join(rows)


def _phantom_table(results: tuple[PhantomResult, ...]) -> str:
    rows = ["| view | true EF % | measured EF % | true EDV mL | measured EDV mL |", "|---|---|---|---|---|"]
    for result in results:
        refused = result.ef_percent is None or result.edv_ml is None
        ef, edv = (result.refused, "") if refused else (f"{result.ef_percent:.1f}", f"{result.edv_ml:.0f}")
        rows.append(f"| {result.view} | {result.true_ef_percent:.0f} | {ef} | {result.true_edv_ml:.0f} | {edv} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with camus-a4c.npz")
    parser.add_argument("--engine", type=Path, required=True, help="engine folder with its manifest")
    arguments = parser.parse_args()
    manifest = read_manifest(arguments.engine)
    if manifest.task == "view":
        card = view_card(manifest)
    else:
        valid = camus.read(arguments.data / "camus-a4c.npz", "valid", manifest.input.size)
        card = segmentation_card(OnnxRuntimeEngine(manifest), valid)
    (arguments.engine / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    print(card)


if __name__ == "__main__":
    main()
