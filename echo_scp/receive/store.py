"""The store path: a C-STORE request -> a durable object in the spool -> the status that says so."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import cast

import structlog
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ASSOCIATE

from echo_scp import metrics
from echo_scp.errors import StorageError
from echo_scp.receive.status import StoreStatus
from echo_scp.spool import Spool, SpooledIdentity

log = structlog.get_logger(__name__)


def handle_store(event: Event, spool: Spool, on_spooled: Callable[[], None]) -> StoreStatus:
    """Answer Success when, and only when, the bytes of the request are durable (PS3.4 B.2.3).

    The data set is neither decoded nor changed. `on_spooled` is called after the commit, in the association's thread.
    """
    identity = _identity(event)
    bound = log.bind(
        sop_instance_uid=identity.sop_instance_uid,
        sop_class_uid=identity.sop_class_uid,
        transfer_syntax_uid=identity.transfer_syntax_uid,
        calling_ae_title=identity.calling_ae_title,
    )
    data_set = cast(BytesIO, cast(C_STORE, event.request).DataSet).getbuffer()
    try:
        path = _spool(spool, identity, data_set)
    except StorageError as error:
        metrics.INSTANCES_RECEIVED.add(outcome="refused")
        bound.error("instance.refused", reason=str(error))
        return StoreStatus.OUT_OF_RESOURCES
    except Exception:  # noqa: BLE001 - the edge of a DIMSE handler: the sender must hear that nothing was stored
        metrics.INSTANCES_RECEIVED.add(outcome="failed")
        bound.exception("instance.failed")
        return StoreStatus.PROCESSING_FAILURE
    metrics.INSTANCES_RECEIVED.add(outcome="stored")
    metrics.RECEIVED_BYTES.add(len(data_set))
    bound.info("instance.spooled", file=path.name, bytes=len(data_set))
    on_spooled()
    return StoreStatus.SUCCESS


def _spool(spool: Spool, identity: SpooledIdentity, data_set: memoryview) -> Path:
    with spool.open(identity) as file:
        file.write(data_set)
        return file.commit()


def _identity(event: Event) -> SpooledIdentity:
    """Read the command and the association; pynetdicom lets no request without these values come here."""
    request = cast(C_STORE, event.request)
    requestor = event.assoc.requestor
    return SpooledIdentity(
        sop_class_uid=str(request.AffectedSOPClassUID),
        sop_instance_uid=str(request.AffectedSOPInstanceUID),
        transfer_syntax_uid=str(event.context.transfer_syntax),
        calling_ae_title=requestor.ae_title,
        called_ae_title=cast(A_ASSOCIATE, requestor.primitive).called_ae_title,
    )
