"""What the conformance statement says is what an association negotiates, pair by pair."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.presentation import PresentationContext, build_context

from echo_scp.config import Config, ReceiveConfig
from echo_scp.conformance import statement
from echo_scp.conformance.blocks import Table
from echo_scp.receive.listener import Listener
from echo_scp.receive.offer import known_sop_classes, known_transfer_syntaxes
from echo_scp.spool import Spool

CONTEXTS_PER_ASSOCIATION = 128  # PS3.8 9.3.2.2: odd numbers of one byte
VERIFICATION = "1.2.840.10008.1.1"


def stated() -> dict[str, set[str]]:
    """The accepted transfer syntaxes of each SOP class, as the tables of the statement say."""
    tables = [block for block in statement(Config()).blocks if isinstance(block, Table)]
    (classes,) = (table for table in tables if table.columns[0] == "SOP class" and len(table.columns) == 3)
    sets = [{uid for _, uid in table.rows} for table in tables if table.columns[0] == "transfer syntax"]
    return {uid: sets[int(number) - 1] for _, uid, number in classes.rows}


def propose(port: int, contexts: list[PresentationContext]) -> set[tuple[str, str]]:
    ae = AE(ae_title="ASKER")
    association = ae.associate("127.0.0.1", port, contexts=contexts)
    accepted = {(str(each.abstract_syntax), str(each.transfer_syntax[0])) for each in association.accepted_contexts}
    association.release()
    association.join()
    association.dul.join()
    return accepted


def batches(pairs: Iterator[tuple[str, str]]) -> Iterator[list[PresentationContext]]:
    while batch := list(islice(pairs, CONTEXTS_PER_ASSOCIATION)):
        yield [build_context(sop_class, UID(syntax)) for sop_class, syntax in batch]


@pytest.fixture
def port(tmp_path) -> Iterator[int]:
    config = ReceiveConfig(address="127.0.0.1", port=0, reserve_disk_mb=0)
    with Listener(config, Spool(tmp_path, 0), lambda: None) as listener:
        yield listener.port


def test_every_storage_pair_of_the_statement_is_accepted_and_no_other(port):
    """Each stated SOP class with each transfer syntax of the standard; nothing but the stated syntaxes comes back."""
    expected = stated()
    assert len(expected) > 150
    pairs = ((sop_class, syntax) for sop_class in expected for syntax in known_transfer_syntaxes())

    accepted = set().union(*(propose(port, contexts) for contexts in batches(pairs)))

    assert accepted == {(sop_class, syntax) for sop_class, syntaxes in expected.items() for syntax in syntaxes}


def test_no_sop_class_beside_the_stated_ones_is_accepted(port):
    """Each of the standard's other SOP classes, in the encoding that everybody must support."""
    others = set(known_sop_classes()) - stated().keys()
    assert len(others) > 100
    pairs = ((sop_class, "1.2.840.10008.1.2") for sop_class in sorted(others))

    accepted = set()
    for contexts in batches(pairs):
        known = build_context(VERIFICATION, "1.2.840.10008.1.2")  # so that the association as a whole is accepted
        accepted |= propose(port, [known, *contexts[:-1]]) | propose(port, [known, *contexts[-1:]])

    assert accepted == {(VERIFICATION, "1.2.840.10008.1.2")}


def test_private_and_future_storage_classes_are_accepted_as_stated(port):
    """An instance of a SOP class that nobody has heard of must not be lost."""
    unknown = {("1.2.840.10008.5.1.4.1.1.999.1", "1.2.840.10008.1.2"), ("1.3.6.1.4.1.99999.1", "1.2.840.10008.1.2")}

    accepted = propose(port, [build_context(uid, UID(syntax)) for uid, syntax in sorted(unknown)])

    assert accepted == unknown
