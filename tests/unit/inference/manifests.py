"""Valid manifests, one per task, as the values of their TOML."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

INPUT = {"tensor": "frames", "size": 64, "mean": 0.0, "std": 1.0}
VALID: dict[str, dict[str, Any]] = {
    "segmentation": {
        "views": ["A4C", "A2C"],
        "output": {"tensor": "logits", "labels": ["background", "lv_cavity", "lv_myocardium", "left_atrium"]},
    },
    "view": {
        "output": {"tensor": "logits", "labels": ["A4C", "A2C", "other"]},
        "decision": {"threshold": 0.5, "frames_per_clip": 4},
    },
    "ejection_fraction": {
        "views": ["A4C"],
        "output": {
            "tensor": "ef",
            "activation": "regression",
            "values": [{"name": "ejection_fraction", "unit": "%"}],
        },
        "sampling": {"frames": 32, "period": 2},
    },
    "phenotype": {
        "views": ["A4C"],
        "output": {
            "tensor": "answers",
            "activation": "sigmoid",
            "values": [{"name": "pacing_lead", "unit": "1"}, {"name": "lv_hypertrophy", "unit": "1"}],
        },
        "sampling": {"frames": 20, "interval_ms": 100.0, "clips": 1},
    },
}


def make_values(task: str, **tables: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a valid manifest without artefacts, with changes per table."""
    values: dict[str, Any] = {
        "schema": 1,
        "name": "mine",
        "version": "1.0.0",
        "task": task,
        "licence": "MIT",
        "input": dict(INPUT),
        "training": {"data": "none", "script": "none"},
        **deepcopy(VALID[task]),
    }
    for name, changes in tables.items():
        values[name] = {**values.get(name, {}), **changes}
    return values
