"""Instances that came again with other content under their SOP Instance UID, and an operator's word on which counts.

Carts and archives send an instance again when somebody has corrected it: most often the patient. Which version is right
no program can know, so the first one is analysed until a person decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import cast

from pydicom import FileDataset, dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.errors import InvalidDicomError

from echo_scp.database.connection import Database, Transaction


@dataclass(frozen=True, slots=True)
class Version:
    """One content of an instance, where it lies and whence it came."""

    study_instance_uid: str
    path: Path
    calling_ae_title: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Conflict:
    """The version that is analysed, and those that came later under the same UID."""

    sop_instance_uid: str
    analysed: Version
    later: tuple[Version, ...]

    def concerns(self, uid: str) -> bool:
        """Tell whether `uid` is the instance's, or that of a study that one of its versions says it is of."""
        return uid == self.sop_instance_uid or any(uid == each.study_instance_uid for each in self._versions)

    @property
    def _versions(self) -> tuple[Version, ...]:
        return (self.analysed, *self.later)


def list_conflicts(database: Database) -> tuple[Conflict, ...]:
    """Return the instances that wait for a decision, the oldest first."""
    with database.transaction() as transaction:
        rows = transaction.rows("conflicting_versions")
    found = []
    for uid, group in groupby(rows, key=lambda row: str(row[0])):
        analysed, *later = (
            Version(str(study), Path(str(path)), str(sender), cast(datetime, received_at))
            for _, study, path, sender, received_at in group
        )
        found.append(Conflict(uid, analysed, tuple(later)))
    return tuple(found)


def differing_elements(one: Path, other: Path) -> tuple[str, ...]:
    """Return the keywords, else tags, of what differs between two files, never the values: they name the patient.

    Transfer Syntax UID is among them; () when the same elements are merely written in other bytes. "unreadable" stands
    for all when one of them is no DICOM any more.
    """
    try:
        first, second = (dcmread(path) for path in (one, other))
        return tuple(_differing(first, second))
    except (AttributeError, InvalidDicomError, LookupError, NotImplementedError, OSError, TypeError, ValueError):
        return ("unreadable",)


def _differing(first: FileDataset, second: FileDataset) -> Iterator[str]:
    if first.file_meta.TransferSyntaxUID != second.file_meta.TransferSyntaxUID:
        yield "TransferSyntaxUID"
    for tag in sorted({*first.keys(), *second.keys()}):
        if first.get(tag) != second.get(tag):
            yield keyword_for_tag(tag) or str(tag)


def keep_analysed(database: Database, sop_instance_uids: Iterable[str]) -> None:
    """Stay with the versions that are analysed: the others are kept on disk, and ask no more."""
    with database.transaction() as transaction:
        for uid in sop_instance_uids:
            transaction.execute("lock_sop_instance", sop_instance_uid=uid)
            transaction.execute("settle_conflict", sop_instance_uid=uid)


def take_newest(database: Database, sop_instance_uids: Iterable[str]) -> tuple[str, ...]:
    """Let the newest version of each instance count, and have the studies analysed again; return their UIDs.

    The version that counted before is kept on disk. A version may say that it is of another study: then both are.
    """
    with database.transaction() as transaction:
        found = {study for uid in sop_instance_uids for study in _take_newest(transaction, uid)}
        studies = tuple(sorted(found))  # in one order, whoever decides at the same time
        for study in studies:
            transaction.row("ask_for_analysis", study_instance_uid=study)
    return studies


def _take_newest(transaction: Transaction, sop_instance_uid: str) -> Iterator[str]:
    transaction.execute("lock_sop_instance", sop_instance_uid=sop_instance_uid)
    row = transaction.row("newest_conflict", sop_instance_uid=sop_instance_uid)
    if row is None or row[0] is None:  # somebody else decided meanwhile
        return
    yield from _studies(transaction.rows("supersede_instance", sop_instance_uid=sop_instance_uid))
    yield from _studies(transaction.rows("instate_version", id=row[0]))
    transaction.execute("settle_conflict", sop_instance_uid=sop_instance_uid)


def _studies(rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    return (str(row[0]) for row in rows)
