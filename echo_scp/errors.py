"""The one tree of errors. Leaves carry what an operator needs; `retryable` says whether trying again can help.

EchoScpError
  ConfigurationError          a key of the configuration is wrong
  ManifestError               an engine folder is wrong
  EngineError                 an engine cannot run here
    GpuError                    the graphics processor cannot run it: carries a GpuFault
  InstanceError               one stored instance cannot be analysed: carries a Reason
  EvaluationError             the data of an evaluation cannot be used
  DownloadError               a published file did not arrive whole, or is another one (retryable)
  UnindexableFileError        bytes that cannot be placed in a study
  StorageError                the disk cannot take an instance
  StudyLostError              no file of a study is left in the store
  DatabaseUnavailableError    the database does not answer (retryable)
  DeliveryError               a destination did not take an object
    DestinationUnreachableError   no association (retryable)
      NoAnswerError                 it ended while one object was sent (retryable)
    DestinationRefusedError       a failure status (retryable)
      ObjectNotSupportedError       no presentation context for the object: another try gives the same
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a receiver process does without numpy, which the model's arrays need
    from echo_scp.model import Reason


class EchoScpError(Exception):
    """Base of all errors that this package raises on purpose."""

    retryable = False


class ConfigurationError(EchoScpError):
    """A configuration value is unknown or out of range; the message names file, key and expectation."""


class ManifestError(EchoScpError):
    """An engine folder cannot be used: names the file, the field and what was expected."""

    def __init__(self, path: Path, field: str, expected: str) -> None:
        super().__init__(f"{path}: {field}: expected {expected}")
        self.path = path
        self.field = field
        self.expected = expected


class EngineError(EchoScpError):
    """An engine failed to load or to run."""


class GpuFault(StrEnum):
    """Why a graphics processor cannot run an engine; also a label of a metric."""

    NO_RUNTIME = "no_runtime"
    NO_DRIVER = "no_driver"
    NO_GPU = "no_gpu"
    PLAN_REFUSED = "plan_refused"
    OUT_OF_MEMORY = "out_of_memory"
    EXECUTION_FAILED = "execution_failed"


_GPU_REMEDIES = {
    GpuFault.NO_RUNTIME: (
        "install the extra 'gpu' (TensorRT and cuda-bindings), or set analysis.runtime = 'onnxruntime'"
    ),
    GpuFault.NO_DRIVER: "install NVIDIA's driver, and give it to the container (--gpus all)",
    GpuFault.NO_GPU: "check nvidia-smi and CUDA_VISIBLE_DEVICES",
    GpuFault.PLAN_REFUSED: (
        "build the plan again with 'echo-scp engines build'; "
        "if it is refused again, this TensorRT does not support the GPU"
    ),
    GpuFault.OUT_OF_MEMORY: "raise analysis.gpu_memory_mb, or end what else uses the GPU (nvidia-smi)",
    GpuFault.EXECUTION_FAILED: "see the kernel's log for NVRM Xid lines, and start the node again",
}


class GpuError(EngineError):
    """The graphics processor cannot run an engine; the message ends with what to do."""

    def __init__(self, fault: GpuFault, detail: str) -> None:
        super().__init__(f"{detail}; {_GPU_REMEDIES[fault]}")
        self.fault = fault
        self.detail = detail


class DownloadError(EchoScpError):
    """A published file did not arrive whole, or is not the one that was asked for."""

    retryable = True


class InstanceError(EchoScpError):
    """One instance cannot be analysed; the study goes on without it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class EvaluationError(EchoScpError):
    """A data set with ground truth cannot be used; the message names file, line and column where there are any."""


class UnindexableFileError(EchoScpError):
    """A spooled file has no identity (not DICOM, or no Study, Series or SOP Instance UID)."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"{path.name}: {detail}")
        self.path = path
        self.detail = detail


class StorageError(EchoScpError):
    """The spool cannot take bytes: disk full, quota, I/O error."""

    retryable = True


class StudyLostError(EchoScpError):
    """Instances of a study were stored, and no file of theirs can be read any more."""


class DatabaseUnavailableError(EchoScpError):
    """The database does not answer."""

    retryable = True


class DeliveryError(EchoScpError):
    """A destination did not take an object.

    `comment` is what it says of that itself. It may name the patient: it is for the tables, never for the log.
    """

    retryable = True

    def __init__(self, destination: str, detail: str, comment: str = "") -> None:
        super().__init__(f"{destination}: {detail}")
        self.destination = destination
        self.detail = detail
        self.comment = comment

    @property
    def quoting(self) -> str:
        """The detail with the comment."""
        return f"{self.detail} ({self.comment})" if self.comment else self.detail


class DestinationUnreachableError(DeliveryError):
    """No association could be made: refused, rejected, or no answer in time."""


class NoAnswerError(DestinationUnreachableError):
    """The association or connection ended, or fell silent, while one object was sent: the object may be the cause."""


class DestinationRefusedError(DeliveryError):
    """The destination answered with a failure status, or does not take such objects."""

    def __init__(self, destination: str, detail: str, status: int | None = None, comment: str = "") -> None:
        super().__init__(destination, detail, comment)
        self.status = status


class ObjectNotSupportedError(DestinationRefusedError):
    """The destination does not take objects of this SOP class, or none in an encoding that we can give."""

    retryable = False
