"""Listeners made of pynetdicom alone, to compare with: one that keeps our policy, and one as in a tutorial."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, VerificationPresentationContexts, evt
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation

from echo_scp.receive import policy
from echo_scp.spool import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, Spool, SpooledIdentity


@contextmanager
def running(ae: AE, handlers: list[object]) -> Iterator[int]:
    """Yield the port of a pynetdicom SCP."""
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.server_address[1]
    finally:
        ae.shutdown()


@contextmanager
def reference_listener(spool: Spool, maximum_pdu_bytes: int) -> Iterator[int]:
    """Store whole messages from memory, with pynetdicom's upper layer and our policy."""

    def propose(event: evt.Event) -> None:
        event.assoc.acceptor.supported_contexts = policy.supported_contexts(event.assoc.requestor.requested_contexts)

    def serve_as_storage(event: evt.Event) -> dict[str, SOPClassCommonExtendedNegotiation]:
        items = {}
        for context in event.assoc.requestor.requested_contexts:
            if policy.is_storage(context.abstract_syntax):
                item = items[context.abstract_syntax] = SOPClassCommonExtendedNegotiation()
                item.sop_class_uid, item.service_class_uid = context.abstract_syntax, "1.2.840.10008.4.2"
        return items

    def store(event: evt.Event) -> int:
        identity = SpooledIdentity(
            str(event.request.AffectedSOPClassUID),
            str(event.request.AffectedSOPInstanceUID),
            str(event.context.transfer_syntax),
            event.assoc.requestor.ae_title,
            event.assoc.requestor.primitive.called_ae_title,
        )
        with spool.open(identity) as file:
            file.write([event.request.DataSet.getbuffer()])
            file.commit()
        return 0x0000

    ae = AE(ae_title="ECHO_SCP")
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.maximum_pdu_size = maximum_pdu_bytes
    ae.supported_contexts = VerificationPresentationContexts
    handlers = [(evt.EVT_REQUESTED, propose), (evt.EVT_SOP_COMMON, serve_as_storage), (evt.EVT_C_STORE, store)]
    with running(ae, handlers) as port:
        yield port


@contextmanager
def naive_listener(folder: Path, timeout_s: float = 20, maximum_associations: int = 10) -> Iterator[int]:
    """Store as the tutorials do: the decoded data set, under its UID."""

    def store(event: evt.Event) -> int:
        ds = event.dataset
        ds.file_meta = event.file_meta
        ds.save_as(f"{folder}/{event.request.AffectedSOPInstanceUID}.dcm", enforce_file_format=True)
        return 0x0000

    ae = AE(ae_title="NAIVE")
    ae.network_timeout = ae.acse_timeout = ae.dimse_timeout = timeout_s
    ae.maximum_associations = maximum_associations
    for context in (*AllStoragePresentationContexts, *VerificationPresentationContexts):
        ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    with running(ae, [(evt.EVT_C_STORE, store)]) as port:
        yield port
