"""The way from the outbox to one destination: take, send, record; rest when nobody is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

import structlog
from pydicom import dcmread

from echo_scp.audit import AuditTrail, Party, Study, instances_transferred
from echo_scp.config import Config, Destination, ObjectKind
from echo_scp.database.connection import Database, Row, Transaction
from echo_scp.deliver import Sender, in_its_place, offer_of, open_sender
from echo_scp.errors import (
    DeliveryError,
    DestinationRefusedError,
    DestinationUnreachableError,
    NoAnswerError,
    ObjectNotSupportedError,
)
from echo_scp.metrics import DELIVERIES, DELIVERY_LATENCY
from echo_scp.outbox.queue import retry_wait_s

_OFFERED = 32  # objects that an association is made for; two presentation contexts each

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery whose row is ours until the transaction ends."""

    sop_instance_uid: str
    path: Path
    kind: ObjectKind
    run_id: int
    study_instance_uid: str
    failure_count: int
    urgent: bool


class Lane:
    """The way to one destination. Holds no state: several threads may use it at once."""

    def __init__(
        self,
        config: Config,
        destination: Destination,
        database: Database,
        audit: AuditTrail,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._destination = destination
        self._database = database
        self._calling_ae_title = config.receive.ae_title
        self._settings = config.deliver
        self._audit = audit
        self._stopping = stopping

    def send_due(self) -> bool:
        """Send what is due on one association; return False when there is nothing (more) to do at once.

        Raises DatabaseUnavailableError; what was sent last may then be sent again, which changes nothing there.
        """
        paths = self._due()
        failures = self._may_try() if paths else None
        if failures is None:
            return False
        try:
            with open_sender(self._destination, self._calling_ae_title, self._settings.timeout_s, paths) as sender:
                is_open = self._send_next(sender)
                self._answered()  # only now: a way by HTTP is open before anybody was called
                if not is_open:
                    return False
                while not self._stopping() and self._send_next(sender):
                    pass
        except DestinationUnreachableError as error:
            self._rest(error, failures)
        return True

    def _due(self) -> list[Path]:
        """Return the files that come next; those that cannot be read (a store that is not mounted) wait alone."""
        with self._database.transaction() as transaction:
            due = [_taken(row) for row in transaction.rows("due_deliveries", **self._parameters, limit=_OFFERED)]
            return [taken.path for taken in due if self._is_readable(transaction, taken)]

    def _is_readable(self, transaction: Transaction, taken: Taken) -> bool:
        """Say whether there is something to send; if not, the object waits."""
        try:
            offer_of(taken.path)
        except FileNotFoundError:
            detail = f"{taken.path} is not there"
        except Exception as error:  # noqa: BLE001 - the border to pydicom's parser, which raises what it likes
            detail = f"{taken.path} cannot be read: {type(error).__name__}"
        else:
            return True
        self._failed(transaction, taken, DeliveryError(self._destination.name, detail))
        return False

    @property
    def _parameters(self) -> dict[str, object]:
        longest_wait = timedelta(seconds=self._settings.maximum_retry_s + self._settings.timeout_s)
        return {"destination": self._destination.name, "longest_wait": longest_wait}

    def _may_try(self) -> int | None:
        """Return how often in a row the destination was away; None when it is not to be tried now.

        Of several lanes one probes a destination that has rested.
        """
        with self._database.transaction() as transaction:
            row = transaction.row("destination_rest", **self._parameters)
            if row is None:
                return 0
            if row[1]:
                return None
            probe_s = 2 * self._settings.timeout_s
            is_ours = transaction.row("claim_destination", **self._parameters, probe_s=probe_s) is not None
            return cast(int, row[0]) if is_ours else None

    def _answered(self) -> None:
        with self._database.transaction() as transaction:
            if transaction.row("destination_rest", **self._parameters) is not None:
                transaction.execute("destination_answered", destination=self._destination.name)
                log.info("destination.answers_again", destination=self._destination.name)

    def _send_next(self, sender: Sender) -> bool:
        """Send the next object that is due; return False when there is none that can go this way."""
        with self._database.transaction() as transaction:
            row = transaction.row("take_delivery", **self._parameters)
            if row is None:
                return False
            taken = _taken(row)
            if not self._is_readable(transaction, taken):
                return True
            return sender.takes(taken.path) and self._send(transaction, sender, taken)

    def _send(self, transaction: Transaction, sender: Sender, taken: Taken) -> bool:
        """Send and record; return whether the way is still open.

        Raises DestinationUnreachableError: nobody is there.
        """
        try:
            outcome = sender.send(taken.path)
        except (NoAnswerError, DestinationRefusedError) as error:
            self._failed(transaction, taken, error)
            return isinstance(error, DestinationRefusedError)
        except DestinationUnreachableError:
            raise
        except Exception as error:  # the edge of an object: what is wrong with it must not keep the others waiting
            log.exception("delivery.failed", **self._about(taken))
            detail = f"{taken.path} cannot be sent: {type(error).__name__}"
            self._failed(transaction, taken, DeliveryError(self._destination.name, detail))
            return False
        transaction.execute(
            "delivery_made",
            sop_instance_uid=taken.sop_instance_uid,
            destination=self._destination.name,
            status=outcome.status,
            detail=outcome.quoting,
        )
        DELIVERIES.add(destination=self._destination.name, outcome="warning" if outcome.warning else "delivered")
        log.info("delivery.delivered", **self._about(taken), detail=outcome.warning)
        self._observe_latency(transaction, taken)
        self._record_transfer(taken)
        return True

    def _observe_latency(self, transaction: Transaction, taken: Taken) -> None:
        row = transaction.row("seconds_since_last_instance", sop_instance_uid=taken.sop_instance_uid)
        if row is not None and row[0] is not None:
            DELIVERY_LATENCY.observe(max(0.0, cast(float, row[0])), destination=self._destination.name)

    def _record_transfer(self, taken: Taken) -> None:
        target = self._destination
        receiver = Party(target.url) if target.url else Party(target.ae_title, target.host)
        header = dcmread(taken.path, stop_before_pixels=True, specific_tags=["SOPClassUID", "PatientID"])
        patient_id = str(header.get("PatientID") or "")
        study = Study(taken.study_instance_uid, (patient_id,) if patient_id else (), ((str(header.SOPClassUID), 1),))
        self._audit.record(lambda node, now: instances_transferred(node, now, Party(node), receiver, study))

    def _failed(self, transaction: Transaction, taken: Taken, error: DeliveryError) -> None:
        """Let the object wait alone, and longer each time; what is never supported has its fallbacks sent instead."""
        settings, unsupported = self._settings, isinstance(error, ObjectNotSupportedError)
        row = transaction.row(
            "delivery_failed",
            sop_instance_uid=taken.sop_instance_uid,
            destination=self._destination.name,
            status=error.status if isinstance(error, DestinationRefusedError) else None,
            detail=error.quoting,
            for_good=unsupported,
            wait_s=retry_wait_s(settings.first_retry_s, settings.maximum_retry_s, taken.failure_count + 1),
            give_up_after_s=settings.give_up_after_h * 3600,
        )
        if unsupported:
            made = {str(kind) for (kind,) in transaction.rows("kinds_of_run", run_id=taken.run_id)}
            transaction.execute(
                "insert_fallbacks",
                destination=self._destination.name,
                run_id=taken.run_id,
                kinds=in_its_place(taken.kind, self._destination, made),
                urgent=taken.urgent,
            )
        DELIVERIES.add(destination=self._destination.name, outcome=_outcome(error))
        assert row is not None  # the statement returns the row that we hold
        log.warning(f"delivery.{row[0]}", **self._about(taken), detail=error.detail)

    def _about(self, taken: Taken) -> dict[str, object]:
        return {
            "study_instance_uid": taken.study_instance_uid,
            "sop_instance_uid": taken.sop_instance_uid,
            "destination": self._destination.name,
        }

    def _rest(self, error: DestinationUnreachableError, failures: int) -> None:
        """Leave the destination alone for a while, longer each time. What waits for it has been tried as long.

        Unless another lane has said so since it had failed `failures` times: theirs and ours are one attempt.
        """
        name, settings = self._destination.name, self._settings
        with self._database.transaction() as transaction:
            row = transaction.row("destination_rest", **self._parameters)
            if failures != (0 if row is None else row[0]):
                return
            attempt = failures + 1
            wait_s = retry_wait_s(settings.first_retry_s, settings.maximum_retry_s, attempt)
            parameters = {"destination": name, "wait_s": wait_s, "detail": error.detail}
            transaction.execute("destination_failed", **parameters)
            give_up_after_s = settings.give_up_after_h * 3600
            charged = transaction.rows("charge_waiting", **parameters, give_up_after_s=give_up_after_s)
        DELIVERIES.add(destination=name, outcome="unreachable")
        log.warning("destination.unreachable", destination=name, detail=error.detail, attempt=attempt, wait_s=wait_s)
        for sop_instance_uid, state in charged:
            if state == "given_up":
                log.warning("delivery.given_up", destination=name, sop_instance_uid=sop_instance_uid)


def _taken(row: Row) -> Taken:
    uid, path, kind, run_id, study, failures, urgent = cast("tuple[str, str, ObjectKind, int, str, int, bool]", row)
    return Taken(uid, Path(path), kind, run_id, study, failures, urgent)


def _outcome(error: DeliveryError) -> str:
    if isinstance(error, ObjectNotSupportedError):
        return "unsupported"
    return "unreachable" if isinstance(error, DestinationUnreachableError) else "refused"
