"""The conformance statement, in the order of PS3.2 Annex A."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from echo_scp import __version__
from echo_scp.config import Config
from echo_scp.conformance.blocks import Block, Document, Heading, Listing, Paragraph, Table
from echo_scp.conformance.networking import networking
from echo_scp.conformance.objects import annexes
from echo_scp.receive.offer import name_of, standard_offers
from echo_scp.report.sop_classes import SOP_CLASSES

_WORKFLOW = (  # SOP class, and whether we use it as SCU
    ("1.2.840.10008.1.1", "Yes"),
    ("1.2.840.10008.1.20.1", "Where destinations.commitment is set"),
    ("1.2.840.10008.3.1.2.3.3", "No"),
)


def statement(config: Config) -> Document:
    """Return the statement of an installation with this configuration; no part of it is written by hand elsewhere."""
    blocks = (*_overview(config), *_introduction(), *networking(config), *_media(), *_character_sets(), *_security())
    return Document(f"DICOM Conformance Statement of echo-scp {__version__}", (*blocks, *annexes()))


def _overview(config: Config) -> Iterator[Block]:
    yield Heading("1", "Conformance Statement Overview")
    yield Paragraph(
        "echo-scp receives echocardiography studies, measures the left ventricle and sends the findings back as "
        "Structured Reports and Segmentations. It queries nobody, prints nothing and writes no media."
    )
    if config.report.research_use:
        yield Paragraph("For research use. It is not a medical device; every result says so.")
    offers = standard_offers()
    storage = sum(offer.sop_class_uid not in {uid for uid, _ in _WORKFLOW} for offer in offers)
    rows = [
        ("Transfer", f"{storage} standard storage SOP classes, and private ones (4.2.1.5)", "No", "Yes"),
        *(
            ("Transfer", f"{name_of(uid)} ({uid})", "Yes" if config.destinations else "Not configured", "Yes")
            for uid in dict.fromkeys(chain.from_iterable(SOP_CLASSES.values()))
        ),
        *(("Workflow", f"{name_of(uid)} ({uid})", user, "Yes") for uid, user in _WORKFLOW),
    ]
    yield Table(("service", "SOP classes", "user of service (SCU)", "provider of service (SCP)"), tuple(rows))


def _introduction() -> Iterator[Block]:
    yield Heading("3", "Introduction")
    yield Heading("3.1", "Revision history")
    yield Paragraph(
        f"Written by echo-scp {__version__} from its code and its configuration in force; it has no other history. "
        "Write it anew after a change of either: echo-scp conformance."
    )
    yield Heading("3.2", "Audience")
    yield Paragraph(
        "Administrators of PACS and of ultrasound machines, and engineers who connect them. They know DICOM."
    )
    yield Heading("3.3", "Remarks")
    yield Paragraph(
        "Conformance is no promise that two products work together; test them with each other before use "
        "(echo-scp doctor tries each configured destination)."
    )
    yield Heading("3.4", "Terms and abbreviations")
    yield Listing(
        (
            "AE: Application Entity",
            "ED, ES: end-diastole, end-systole",
            "EF: ejection fraction",
            "LV: left ventricle",
            "SCP, SCU: Service Class Provider, Service Class User",
            "SEG: Segmentation",
            "SR: Structured Report",
        )
    )
    yield Heading("3.5", "References")
    yield Paragraph("NEMA PS3 / ISO 12052, Digital Imaging and Communications in Medicine (DICOM) Standard.")


def _media() -> Iterator[Block]:
    yield Heading("5", "Media interchange")
    yield Paragraph("None. Files in the data folder are Part-10 files for the node's own use; there is no DICOMDIR.")


def _character_sets() -> Iterator[Block]:
    yield Heading("6", "Support of character sets")
    yield Paragraph(
        "Received data sets are stored as they were sent, in any character set. Results carry the Specific Character "
        "Set (0008,0005) of their study, or ISO_IR 192 (UTF-8) when what they say does not fit into it."
    )


def _security() -> Iterator[Block]:
    yield Heading("7", "Security")
    yield Paragraph(
        "With receive.tls, the Receiver AE conforms to the BCP 195 (RFC 8996, RFC 9325) TLS Secure Transport "
        "Connection Profile (PS3.15 B.12): TLS 1.2 with its four recommended suites, or TLS 1.3; with "
        "receive.tls.authorities, machines must show a certificate. Towards destinations with tls = true or an https "
        "URL it is TLS 1.2 or newer, and their certificate is verified, by name too. receive.peers binds AE title, "
        "address and certificate."
    )
    yield Paragraph(
        "Audit messages follow PS3.15 A.5. Logs and metrics carry no Patient's Name, Patient ID or birth date. Values "
        "of the configuration that concern security are listed in 4.4.2."
    )
