"""Read, validate and freeze the configuration: one TOML file, overridable by the environment.

`ECHO_SCP_<SECTION>__<KEY>=value` overrides a key of a section (`ECHO_SCP_RECEIVE__PORT=104`); a top-level key has no
section (`ECHO_SCP_DATA_FOLDER=/srv/echo`). A list is written as in the file (`["SR", "SEG"]`). Lists of tables
(`[[destinations]]`) are given in the file only.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self
from unicodedata import category

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from echo_scp.errors import ConfigurationError

ENVIRONMENT_PREFIX = "ECHO_SCP_"


def _ae_title(value: str) -> str:
    """Accept the AE value representation: 1-16 characters of the default repertoire, no backslash (PS3.5 6.2)."""
    stripped = value.strip()
    if not 1 <= len(stripped) <= 16 or "\\" in stripped or not (stripped.isascii() and stripped.isprintable()):
        raise ValueError("must be an AE title: 1 to 16 printable ASCII characters without backslash")
    return stripped


def _uid_root(value: str) -> str:
    parts = value.split(".")
    if len(value) > 24 or not all(part.isdigit() and (part == "0" or part[0] != "0") for part in parts):
        raise ValueError("must be a UID root such as 1.2.826.0.1.3680043, at most 24 characters")
    return value


def _long_string(value: str) -> str:
    """Accept the LO value representation: a backslash would make two values of one (PS3.5 6.2)."""
    if len(value) > 64 or "\\" in value or any(category(letter) == "Cc" for letter in value):
        raise ValueError("must be at most 64 characters without backslash and control characters")
    return value


def _existing_folder(value: Path | None) -> Path | None:
    """Refuse a wrong path at once: with it the shipped engines would run in place of the site's."""
    if value is not None and not value.is_dir():
        raise ValueError("must be an existing folder; make it, or leave the key out")
    return None if value is None else value.absolute()


def _absolute(value: Path | None) -> Path | None:
    return None if value is None else value.absolute()


def _existing_file(value: Path | None) -> Path | None:
    if value is not None and not value.is_file():
        raise ValueError("must be an existing file")
    return None if value is None else value.absolute()


def _url(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must be the URL of a STOW-RS service, such as https://pacs.example.org/dicom-web/studies")
    return value.rstrip("/")


def _readable_file(value: Path | None) -> Path | None:
    if value is not None and not os.access(value, os.R_OK):
        raise ValueError("must be a file that the node can read")
    return _absolute(value)


AETitle = Annotated[str, AfterValidator(_ae_title)]
Port = Annotated[int, Field(ge=0, le=65535)]
ExistingFile = Annotated[Path | None, AfterValidator(_existing_file)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
ObjectKind = Literal["SR", "SEG", "SR_COMPREHENSIVE", "SR_ECHO", "CINE", "KO", "PDF", "SR_SIMPLIFIED"]
_USUAL_KINDS: tuple[ObjectKind, ...] = ("SR", "SEG", "SR_COMPREHENSIVE", "SR_ECHO", "CINE", "KO", "PDF")
FALLBACKS: Mapping[ObjectKind, tuple[ObjectKind, ...]] = MappingProxyType(
    {
        "SR": ("SR_COMPREHENSIVE",),
        "SR_COMPREHENSIVE": ("PDF",),
        "SR_ECHO": ("PDF",),
        "SR_SIMPLIFIED": ("SR_ECHO",),
        "SEG": ("CINE",),
        "PDF": ("CINE",),
    }
)
"""What takes the place of a kind that a destination does not accept; a fallback may have fallbacks of its own."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TlsConfig(_Section):
    """DICOM TLS; there is none without a certificate."""

    certificate: Annotated[Path | None, AfterValidator(_absolute)] = None
    key: Annotated[Path | None, AfterValidator(_absolute)] = None
    authorities: Annotated[Path | None, AfterValidator(_absolute)] = None
    port: Port = 2762
    only: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.certificate is None and (self.key or self.authorities or self.only):
            raise ValueError("certificate is missing, without which there is no TLS")
        return self


class Peer(_Section):
    """Somebody who may associate."""

    name: Name
    ae_title: AETitle
    addresses: tuple[IPv4Network | IPv6Network, ...] = ()
    certificates: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    maximum_associations: int | None = Field(None, ge=1, le=1000)
    quiet_period_s: float | None = Field(None, ge=0, le=86400)
    commits_per_study: bool = False
    report_host: str | None = Field(None, min_length=1)
    report_port: Port = 104
    report_tls: bool = False


class ReceiveConfig(_Section):
    """The listener."""

    ae_title: AETitle = "ECHO_SCP"
    address: str = "0.0.0.0"  # noqa: S104 - a node listens for its modalities; the default is documented
    port: Port = 11112
    maximum_pdu_bytes: int = Field(131072, ge=4096, le=1048576)
    processes: int = Field(1, ge=1, le=16)
    maximum_associations: int = Field(32, ge=1, le=1000)
    maximum_associations_per_peer: int = Field(16, ge=1, le=1000)
    network_timeout_s: float = Field(60, gt=0)
    reserve_disk_mb: int = Field(512, ge=0)
    called_ae_titles: tuple[AETitle, ...] = ()
    tls: TlsConfig = TlsConfig()
    peers: tuple[Peer, ...] = ()

    @model_validator(mode="after")
    def _peers_can_be_told_apart(self) -> Self:
        names = [peer.name for peer in self.peers]
        if len(set(names)) != len(names):
            raise ValueError(f"names of peers must differ, got {', '.join(names)}")
        bound = [peer.name for peer in self.peers if peer.certificates]
        if bound and self.tls.authorities is None:
            raise ValueError(f"tls.authorities must be set to know the certificates of {', '.join(bound)}")
        reported = [peer.name for peer in self.peers if peer.report_tls]
        if reported and self.tls.certificate is None:
            raise ValueError(f"tls.certificate must be set to report to {', '.join(reported)} by TLS")
        return self


class StudyConfig(_Section):
    """When a study is complete."""

    quiet_period_s: float = Field(30, ge=0, le=86400)
    settle_s: float = Field(5, ge=0, le=3600)
    longest_wait_s: float = Field(3600, ge=0, le=86400)


class DatabaseConfig(_Section):
    """Where the state lives."""

    url: str = ""


# A key of [analysis] that is not here counts as one that can change a number.
_CHANGES_NO_NUMBER = {
    *("engines_folder", "view_engine", "segmentation_engine", "additional_engines"),  # an engine's identity tells
    *("precision", "research_phenotypes"),  # as it does of these
    *("threads", "batch_frames", "fall_back_to_cpu", "gpu_memory_mb", "plan_folder", "memory_mb", "kept_mb"),
}


class AnalysisConfig(_Section):
    """What is analysed, and by which engines."""

    engines_folder: Annotated[Path | None, AfterValidator(_existing_folder)] = None
    view_engine: str = "view"
    segmentation_engine: str = "lv-apical"
    additional_engines: tuple[str, ...] = ()
    research_phenotypes: bool = False
    minimum_frames: int = Field(10, ge=2)
    maximum_pixels: int = Field(2_000_000_000, ge=1_000_000)
    stress: bool = False
    threads: int = Field(0, ge=0, le=256)
    batch_frames: int = Field(8, ge=1, le=512)
    runtime: Literal["onnxruntime", "tensorrt"] = "onnxruntime"
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    fall_back_to_cpu: bool = True
    gpu_memory_mb: int = Field(4096, ge=64)
    plan_folder: Annotated[Path, AfterValidator(Path.absolute)] = Path("data/plans").absolute()
    memory_mb: int = Field(1024, ge=64)
    kept_mb: int = Field(1024, ge=0)

    def settings(self) -> str:
        """Return what of the configuration can change a number; the engines say for themselves which they are."""
        return self.model_dump_json(exclude=_CHANGES_NO_NUMBER)


class MeasureConfig(_Section):
    """How outlines become numbers, and what is said of them; the sources are in docs/measurement.md."""

    aggregation: Literal["beats", "usal", "echonet-dynamic"] = "beats"
    bsa_formula: Literal["dubois", "mosteller"] = "dubois"
    length_agreement_percent: float = Field(10, gt=0, le=100)
    heart_rate_agreement_percent: float = Field(20, gt=0, le=100)
    lowest_quality: float = Field(0.3, ge=0, le=1)
    quality_share: float = Field(0.75, ge=0, le=1)
    lowest_ef_percent: float = Field(10, ge=0, lt=100)
    highest_ef_percent: float = Field(80, gt=0, le=100)
    ef_disagreement_percent: float = Field(10, gt=0, le=100)
    irregular_variation_percent: float = Field(10, gt=0, le=100)
    irregular_beats: int = Field(5, ge=1, le=100)
    empty_frames_percent: float = Field(10, ge=0, le=50)
    leaping_frames_percent: float = Field(15, ge=0, le=100)
    jitter_percent: float = Field(20, gt=0, le=25)
    fragment_percent: float = Field(5, gt=0, le=100)
    sector_edge_percent: float = Field(10, gt=0, le=100)
    apex_motion_percent: float = Field(12.5, gt=0, le=100)
    beat_sd_percent: float = Field(3, ge=0, le=30)
    plane_sd_percent: float = Field(4.5, ge=0, le=30)
    outline_sd_percent: float = Field(7.5, ge=0, le=30)
    doubt_sd_percent: float = Field(0.8, ge=0, le=10)
    beat_departure_percent: float = Field(20, gt=0, le=100)


class ReportConfig(_Section):
    """Which objects are made of a result, and what they say of themselves."""

    uid_root: Annotated[str, AfterValidator(_uid_root)] = "2.25"
    research_use: bool = True
    institution_name: Annotated[str, AfterValidator(_long_string)] = ""
    series_number_base: int = Field(9800, ge=1, le=2_000_000_000)
    sr_class: Literal["comprehensive_3d", "comprehensive"] = "comprehensive_3d"
    objects: tuple[ObjectKind, ...] = _USUAL_KINDS


class DeliverConfig(_Section):
    """How results are sent, and how long that is tried."""

    timeout_s: float = Field(30, gt=0)
    first_retry_s: float = Field(10, gt=0)
    maximum_retry_s: float = Field(3600, gt=0)
    give_up_after_h: float = Field(168, gt=0)
    urgent_ef_percent: float = Field(30, ge=0, le=100)


class Destination(_Section):
    """Who receives results, by C-STORE (`ae_title`, `host`, `port`) or by STOW-RS (`url`), and which results.

    The rules (`calling_ae_titles` ... `return_to_sender`) must all hold; an empty one always does.
    """

    name: Name
    ae_title: AETitle = ""
    host: str = ""
    port: Port = 104
    url: Annotated[str, AfterValidator(_url)] = ""
    send: tuple[ObjectKind, ...] = ("SR", "SEG")
    fallbacks: dict[ObjectKind, tuple[ObjectKind, ...]] = dict(FALLBACKS)
    concurrency: int = Field(1, ge=1, le=16)
    commitment: bool = False
    calling_ae_titles: tuple[str, ...] = ()
    institutions: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    return_to_sender: bool = False
    tls: bool = False
    tls_ca: ExistingFile = None
    tls_certificate: ExistingFile = None
    tls_key: ExistingFile = None
    user: str = ""
    password_file: ExistingFile = None
    token_file: ExistingFile = None

    @model_validator(mode="after")
    def _one_protocol(self) -> Self:
        if self.url and (self.ae_title or self.host or self.commitment or self.return_to_sender):
            raise ValueError("a destination with a url has no ae_title, host, commitment and return_to_sender")
        if not self.url and not (self.ae_title and self.host):
            raise ValueError("a destination needs ae_title and host, or a url")
        return self

    @model_validator(mode="after")
    def _secrets_fit(self) -> Self:
        if (self.user or self.password_file or self.token_file) and not self.url:
            raise ValueError("user, password_file and token_file are for a destination with a url")
        if bool(self.user) != bool(self.password_file) or (self.user and self.token_file):
            raise ValueError("give user and password_file, or token_file")
        if bool(self.tls_key) and not self.tls_certificate:
            raise ValueError("tls_key needs tls_certificate")
        if (self.tls_ca or self.tls_certificate) and not (self.tls or self.url.startswith("https:")):
            raise ValueError("tls_ca and tls_certificate need tls = true, or a url with https")
        return self


class WebConfig(_Section):
    """The status page, metrics and health."""

    address: str = "127.0.0.1"
    port: Port = 8080
    auth: Annotated[Path | None, AfterValidator(_absolute)] = None
    show_patient: bool = Field(False, validate_default=True)
    session_timeout_min: float = Field(60, gt=0, le=1440)
    certificate: Annotated[Path | None, AfterValidator(_readable_file)] = None
    key: Annotated[Path | None, AfterValidator(_readable_file)] = Field(None, validate_default=True)
    cine_mb: int = Field(64, ge=0)

    @field_validator("show_patient")
    @classmethod
    def _patients_only_behind_a_login(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("auth") is None:
            raise ValueError("shows patient identity, which needs a login; set web.auth")
        return value

    @field_validator("key")
    @classmethod
    def _certificate_and_key(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if (value is None) != (info.data.get("certificate") is None):
            raise ValueError("web.certificate and web.key are given together or not at all")
        return value


class WorkConfig(_Section):
    """The analysing process."""

    concurrency: int = Field(1, ge=1, le=64)
    niceness: int = Field(5, ge=0, le=19)
    stalled_after_s: float = Field(30, gt=1)


class RetentionConfig(_Section):
    """When local copies of delivered studies are removed."""

    high_watermark_percent: float = Field(0, ge=0, le=100)
    low_watermark_percent: float = Field(80, ge=0, le=100)
    minimum_age_h: float = Field(168, ge=0)

    @model_validator(mode="after")
    def _low_is_below_high(self) -> Self:
        if self.high_watermark_percent and self.low_watermark_percent >= self.high_watermark_percent:
            raise ValueError("low_watermark_percent must be below high_watermark_percent")
        return self


class AuditConfig(_Section):
    """Where audit messages go."""

    file: Annotated[Path, AfterValidator(Path.absolute)] | None = None
    syslog_host: str = ""
    syslog_port: Port = 514
    syslog_transport: Literal["udp", "tcp", "tls"] = "udp"
    syslog_ca: ExistingFile = None


class LogConfig(_Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Config(_Section):
    """The whole configuration; every field is documented in config/echo-scp.toml."""

    data_folder: Annotated[Path, AfterValidator(Path.absolute)] = Path("data").absolute()
    shared_folder: Annotated[Path | None, AfterValidator(_existing_folder)] = None
    receive: ReceiveConfig = ReceiveConfig()
    study: StudyConfig = StudyConfig()
    database: DatabaseConfig = DatabaseConfig()
    analysis: AnalysisConfig = Field(AnalysisConfig(), validate_default=True)
    measure: MeasureConfig = MeasureConfig()
    report: ReportConfig = ReportConfig()
    deliver: DeliverConfig = DeliverConfig()
    destinations: tuple[Destination, ...] = ()
    work: WorkConfig = WorkConfig()
    web: WebConfig = WebConfig()
    retention: RetentionConfig = RetentionConfig()
    audit: AuditConfig = AuditConfig()
    log: LogConfig = LogConfig()

    @property
    def audit_file(self) -> Path:
        """The file of the audit trail."""
        return self.audit.file or self.data_folder / "audit.log"

    @property
    def shortest_quiet_period_s(self) -> float:
        """When to ask first whether a study is complete: no machine's quiet period has passed before."""
        own = [peer.quiet_period_s for peer in self.receive.peers if peer.quiet_period_s is not None]
        return min([self.study.quiet_period_s, *own])

    @property
    def store_folder(self) -> Path:
        """The folder whose disk holds the store and the results."""
        return self.shared_folder or self.data_folder

    @field_validator("analysis")
    @classmethod
    def _plans_are_kept_with_the_data(cls, value: AnalysisConfig, info: ValidationInfo) -> AnalysisConfig:
        if "plan_folder" in value.model_fields_set or "data_folder" not in info.data:
            return value
        return value.model_copy(update={"plan_folder": info.data["data_folder"] / "plans"})

    @field_validator("analysis")
    @classmethod
    def _engines_beside_the_data(cls, value: AnalysisConfig, info: ValidationInfo) -> AnalysisConfig:
        if value.engines_folder is not None or "data_folder" not in info.data:
            return value
        return value.model_copy(update={"engines_folder": info.data["data_folder"] / "engines"})

    @field_validator("destinations")
    @classmethod
    def _names_are_unique(cls, value: tuple[Destination, ...]) -> tuple[Destination, ...]:
        names = [destination.name for destination in value]
        if len(set(names)) != len(names):
            raise ValueError(f"destination names must differ, got {', '.join(names)}")
        return value

    @field_validator("destinations")
    @classmethod
    def _what_is_sent_is_made(cls, value: tuple[Destination, ...], info: ValidationInfo) -> tuple[Destination, ...]:
        if "report" not in info.data:  # it has an error of its own
            return value
        report: ReportConfig = info.data["report"]
        for destination in value:
            missing = ", ".join(kind for kind in destination.send if kind not in report.objects)
            told = f"destination {destination.name} is to be sent"
            if missing:
                raise ValueError(f"{told} {missing}: add it to report.objects, or take it out of send")
            if report.sr_class == "comprehensive" and "SR_COMPREHENSIVE" in destination.send:
                raise ValueError(f"{told} SR_COMPREHENSIVE, which by report.sr_class is SR: send that")
        return value


def example_text() -> str:
    """Return config/echo-scp.toml: every key with its default, unit and meaning."""
    package = Path(str(files("echo_scp")))
    installed = package / "_shipped" / "echo-scp.toml"
    source = installed if installed.is_file() else package.parent / "config" / "echo-scp.toml"
    return source.read_text(encoding="utf-8")


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Return the validated configuration of `path` (None: all defaults) with the environment's overrides.

    Raises ConfigurationError naming the file or variable, the key and what was expected.
    """
    values = {} if path is None else _read_toml(path)
    origin = "defaults" if path is None else str(path)
    variables = _apply_environment(values, environment)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        lines = [_explain(origin, variables, dict(item)) for item in error.errors()]
        raise ConfigurationError("\n".join(lines)) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not valid TOML: {error}") from error


def _apply_environment(values: dict[str, Any], environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Put overrides into `values`; return which variable set which key, for error messages."""
    variables: dict[tuple[str, ...], str] = {}
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        keys = tuple(variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
        table = values
        for key in keys[:-1]:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise ConfigurationError(f"{variable}: {key} is not a section that the environment can override")
        table[keys[-1]] = _list_or_text(text)
        variables[keys] = variable
    return variables


def _list_or_text(text: str) -> object:
    """Read a list as TOML writes it; all else, an address of IPv6 in brackets too, is told apart by its key."""
    try:
        return tomllib.loads(f"list = {text}")["list"] if text.lstrip().startswith("[") else text
    except tomllib.TOMLDecodeError:
        return text


def _explain(origin: str, variables: Mapping[tuple[str, ...], str], item: Mapping[str, Any]) -> str:
    location = tuple(str(part) for part in item["loc"])
    key = ".".join(location) or "configuration"
    if item["type"] == "extra_forbidden":
        source = next((name for keys, name in variables.items() if keys[: len(location)] == location), origin)
        return f"{source}: {key}: unknown key; see config/echo-scp.toml for every key"
    source = next((name for keys, name in variables.items() if location[: len(keys)] == keys), origin)
    return f"{source}: {key}: {item['msg']} (got {item['input']!r})"
