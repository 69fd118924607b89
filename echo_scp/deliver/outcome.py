"""What both roads to a destination have in common: how an object is offered, sent and judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydicom import Dataset
from pydicom.filereader import read_file_meta_info
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category

from echo_scp.config import Destination
from echo_scp.errors import DestinationRefusedError, ObjectNotSupportedError

SUCCESS = 0x0000
DUPLICATE = 0x0111  # PS3.7 C.5.7: of this UID it has an object already, which can only be ours
_SOP_CLASS_NOT_SUPPORTED = 0x0122  # PS3.7 C.5.6; in a STOW-RS answer too (PS3.18 10.5.3)


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """The destination has the object: its status, and the meaning of that status when it is a warning, else ''.

    `comment` is what it says of that itself; as in DeliveryError it is never for the log.
    """

    status: int
    warning: str
    comment: str = ""

    @property
    def quoting(self) -> str:
        """The warning with the comment."""
        return f"{self.warning} ({self.comment})" if self.comment else self.warning


@dataclass(frozen=True, slots=True)
class Offer:
    """What a destination must accept to take an object."""

    sop_class_uid: str
    transfer_syntax_uid: str


class Sender(Protocol):
    """A way to one destination that is open."""

    def takes(self, path: Path) -> bool:
        """Tell whether the object can go this way; if not, another way must be opened for it."""

    def send(self, path: Path) -> DeliveryOutcome:
        """Send one Part-10 file; return when the destination has taken it, with or without a warning.

        Raises DestinationUnreachableError when nobody is there, NoAnswerError when this object got no answer: either
        closes the way. Raises DestinationRefusedError (ObjectNotSupportedError) when the answer was no.
        """


def offer_of(path: Path) -> Offer:
    """Return what the file's meta information says of the object."""
    meta = read_file_meta_info(path)
    return Offer(str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID))


def judge(destination: Destination, status: int, comment: str) -> DeliveryOutcome:
    """Judge a status: any of the category Warning means that the object was taken (PS3.7 C).

    Raises DestinationRefusedError or ObjectNotSupportedError.
    """
    if status == SUCCESS:
        return DeliveryOutcome(status, "")
    if status == DUPLICATE:
        return had_it(status)
    if code_to_category(status) == "Warning":
        return DeliveryOutcome(status, _meaning(status), comment)
    raise refusal(destination, status, comment)


def had_it(status: int) -> DeliveryOutcome:
    """Return the outcome for an object that the destination has from an earlier sending of the same."""
    return DeliveryOutcome(status, "it has the object already")


def refusal(destination: Destination, status: int, comment: str) -> DestinationRefusedError:
    """Return the error for a status that means that the object was not taken."""
    detail = f"status 0x{status:04X}: {_meaning(status)}"
    error = ObjectNotSupportedError if status == _SOP_CLASS_NOT_SUPPORTED else DestinationRefusedError
    return error(destination.name, detail, status, comment)


def _meaning(status: int) -> str:
    """Say what a status means, in the standard's words."""
    category, words = STORAGE_SERVICE_CLASS_STATUS.get(status, (code_to_category(status), "not defined for storage"))
    return f"{category}, {words}"


def comment_of(response: Dataset) -> str:
    """Return the Error Comment (0000,0902) of a response, or ''."""
    return str(response.get("ErrorComment") or "")
