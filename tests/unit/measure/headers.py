"""Instances that are nothing but a header."""

from __future__ import annotations

from pathlib import Path

from pydicom import Dataset

from echo_scp.model import Instance


def make_instance(**elements: str | None) -> Instance:
    """Return an instance with these elements; one that is None is left out."""
    header = Dataset()
    for keyword, value in elements.items():
        if value is not None:
            setattr(header, keyword, value)
    return Instance(header, Path())
