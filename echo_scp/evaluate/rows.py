"""Read a CSV of truth: every wrong value is named with its file, line and column before anything is computed."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from echo_scp.errors import EvaluationError

NAMED_ERRORS = 10  # more of them say nothing new

Row = TypeVar("Row", bound=BaseModel)


def read_rows(path: Path, model: type[Row]) -> tuple[tuple[int, Row], ...]:
    """Return (line number, row) for every row of a comma-separated file with a header; empty fields count as absent.

    Column names are the aliases of `model`'s fields. Raises EvaluationError with the first errors found.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(path, csv.DictReader(file, strict=True), model)
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{path}: is not a comma-separated file in UTF-8: {error}") from error


def _read(path: Path, reader: csv.DictReader[str], model: type[Row]) -> tuple[tuple[int, Row], ...]:
    _check_header(path, tuple(reader.fieldnames or ()), model)
    rows: list[tuple[int, Row]] = []
    errors: list[str] = []
    for fields in reader:
        try:
            rows.append((reader.line_num, model.model_validate(_values(path, reader.line_num, fields))))
        except ValidationError as error:
            errors.extend(_explain(path, reader.line_num, error))
    if errors:
        more = [f"and {len(errors) - NAMED_ERRORS} more"] if len(errors) > NAMED_ERRORS else []
        raise EvaluationError("\n".join([*errors[:NAMED_ERRORS], *more]))
    return tuple(rows)


def _check_header(path: Path, header: tuple[str, ...], model: type[BaseModel]) -> None:
    known = {field.alias or name: field for name, field in model.model_fields.items()}
    missing = [name for name, field in known.items() if field.is_required() and name not in header]
    doubled = [name for name in known if header.count(name) > 1]
    unknown = [name for name in header if name not in known] if model.model_config.get("extra") == "forbid" else []
    for problem, names in (("missing", missing), ("unknown", unknown), ("doubled", doubled)):
        if names:
            listed = ", ".join(repr(name) for name in names)
            told = f"columns are {', '.join(known)}; it has {', '.join(header) or 'none'}"
            raise EvaluationError(f"{path}:1: {problem} column {listed}; {told}")


def _values(path: Path, line: int, fields: Mapping[str | Any, Any]) -> dict[str, str]:
    if None in fields:
        raise EvaluationError(f"{path}:{line}: more fields than the header has columns: {fields[None]}")
    return {name: value.strip() for name, value in fields.items() if value is not None and value.strip()}


def _explain(path: Path, line: int, error: ValidationError) -> Iterator[str]:
    for item in error.errors():
        column = ".".join(str(part) for part in item["loc"]) or "row"
        message = "expected a value" if item["type"] == "missing" else f"{item['msg']}, got {item['input']!r}"
        yield f"{path}:{line}: {column}: {message}"
