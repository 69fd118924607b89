"""Section 4: who talks to whom, and what an association may agree on."""

from __future__ import annotations

from collections.abc import Iterator

from echo_scp.commitment import STORAGE_COMMITMENT
from echo_scp.config import Config
from echo_scp.conformance.blocks import Block, Heading, Listing, Paragraph, Table
from echo_scp.conformance.parameters import destination_rows, parameter_rows
from echo_scp.conformance.statuses import answers
from echo_scp.deliver import MAXIMUM_PDU_BYTES, proposed_syntaxes
from echo_scp.receive.offer import known_transfer_syntaxes, name_of, service_transfer_syntaxes, standard_offers
from echo_scp.report.sop_classes import SOP_CLASSES, transfer_syntax_of
from echo_scp.spool import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


def networking(config: Config) -> Iterator[Block]:
    """Yield section 4."""
    yield Heading("4", "Networking")
    yield from _model()
    yield Heading("4.2", "AE specifications")
    yield from _receiving(config)
    yield from _sending(config)
    yield Heading("4.3", "Network interfaces")
    yield Paragraph("TCP/IP, version 4 or 6, of the operating system. No other stack.")
    yield Heading("4.4", "Configuration")
    yield Heading("4.4.1", "AE title mapping")
    yield Paragraph(
        "Destinations are named with AE title, host and port in the configuration file; no directory is used."
    )
    yield Heading("4.4.2", "Parameters in force")
    yield Table(("parameter", "value"), (*parameter_rows(config), *destination_rows(config)))


def _model() -> Iterator[Block]:
    yield Heading("4.1", "Implementation model")
    yield Heading("4.1.1", "Application data flow")
    yield Listing(
        (
            "Receiver AE: takes composite instances from ultrasound machines and PACS; Success means durable. It "
            "answers requests for Storage Commitment from durable data, on the same or a new association, and takes "
            "Modality Performed Procedure Steps, which tell when a study is complete.",
            "Sender AE: sends the objects of an analysed study to the configured destinations whose rules they meet, "
            "by C-STORE or by STOW-RS (PS3.18).",
        )
    )
    yield Paragraph(
        "Both use the AE title of receive.ae_title; the answer to a request for Storage Commitment is sent under the "
        "title that was called."
    )
    yield Heading("4.1.2", "Sequencing of real-world activities")
    yield Paragraph(
        "A study is analysed when its performed procedure steps are finished and all instances that they name are "
        "here, when a machine with commits_per_study has asked for Storage Commitment of all that is here, or when "
        "nothing new of it has arrived for the quiet period. An instance that comes later makes a new revision, whose "
        "SR names its predecessor. Failed transmissions are repeated with growing waits "
        "until deliver.give_up_after_h is over."
    )


def _receiving(config: Config) -> Iterator[Block]:
    receive = config.receive
    yield Heading("4.2.1", "Receiver AE")
    yield Heading("4.2.1.1", "Association policies")
    has_tls = receive.tls.certificate is not None
    facts = (
        ("application context", "1.2.840.10008.3.1.1.1"),
        ("port", "closed" if receive.tls.only else str(receive.port)),
        ("port for TLS", str(receive.tls.port) if has_tls else "closed"),
        ("called AE titles", ", ".join(receive.called_ae_titles) or "any"),
        ("associations at the same time", str(receive.maximum_associations)),
        ("of these, of one peer", str(receive.maximum_associations_per_peer)),
        ("maximum PDU length offered", f"{receive.maximum_pdu_bytes} bytes"),
        ("asynchronous operations", "not supported: the window is one"),
        ("extended negotiation", "SCP/SCU Role Selection for Storage Commitment; all other items are ignored"),
        ("silence until abort; time for a request, for each PDU", f"{receive.network_timeout_s:g} s"),
        ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
        ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
    )
    yield Table(("policy", "value"), facts)
    yield from answers()
    yield from _accepted_contexts()


def _accepted_contexts() -> Iterator[Block]:
    offers = standard_offers()
    sets = tuple(dict.fromkeys(offer.transfer_syntax_uids for offer in offers))
    yield Heading("4.2.1.5", "Accepted presentation contexts")
    yield Paragraph(
        "Each SOP class is accepted in each transfer syntax of the named set. Storage SOP classes that are private, or "
        "that this version does not know but that lie under the storage root 1.2.840.10008.5.1.4.1.1, are accepted "
        "likewise. Of several transfer syntaxes in one context the first that the requestor names is chosen."
    )
    classes = (
        (name_of(offer.sop_class_uid), offer.sop_class_uid, str(1 + sets.index(offer.transfer_syntax_uids)))
        for offer in offers
    )
    yield Table(("SOP class", "UID", "set of transfer syntaxes"), tuple(classes))
    for number, syntaxes in enumerate(sets, start=1):
        yield Paragraph(f"Set {number}:")
        yield Table(("transfer syntax", "UID"), tuple((name_of(uid), uid) for uid in syntaxes))
    refused = sorted(set(known_transfer_syntaxes()).difference(*sets))
    yield Paragraph(f"Not accepted: {', '.join(name_of(uid) for uid in refused)}.")


def _sending(config: Config) -> Iterator[Block]:
    yield Heading("4.2.2", "Sender AE")
    yield Heading("4.2.2.1", "Association policies")
    yield Paragraph(
        f"Calling AE title {config.receive.ae_title}; it initiates associations and accepts none. It waits "
        f"{config.deliver.timeout_s:g} s for a connection, for an association, for each PDU to leave and for each "
        f"answer. Maximum PDU length offered: {MAXIMUM_PDU_BYTES} bytes. One operation at a time; all that waits goes "
        "over one association as far as its contexts fit. Implementation Class UID and Version Name are those of the "
        "Receiver AE."
    )
    yield Heading("4.2.2.2", "Proposed presentation contexts")
    services = ", ".join(name_of(uid) for uid in service_transfer_syntaxes())
    rows = [("Verification SOP Class", "1.2.840.10008.1.1", services, "SCU")]
    sent = {uid: transfer_syntax_of(kind) for kind, uids in SOP_CLASSES.items() for uid in uids}
    rows += [(name_of(uid), uid, _proposed(stored_in), "SCU") for uid, stored_in in sent.items()]
    rows += [(name_of(STORAGE_COMMITMENT), STORAGE_COMMITMENT, services, "SCU; SCP to report")]
    yield Table(("SOP class", "UID", "transfer syntaxes", "role"), tuple(rows))
    yield Paragraph(
        "A machine that asked the Receiver AE for Storage Commitment and whose association has ended is called, with "
        "the role of SCP proposed for ourselves, every minute for a week until it confirms the N-EVENT-REPORT."
    )
    yield Paragraph(
        "Storage Commitment is asked of destinations with commitment = true. The report is taken on the association "
        "that asked for up to 10 s, and at any time by the Receiver AE on an association of the destination's, which "
        "may propose the role of SCP for itself (SCP/SCU Role Selection)."
    )
    yield Heading("4.2.2.3", "Answers of destinations")
    yield Paragraph(
        "Success, a warning (0x0001, 0xBxxx, 0x0107, 0x0116; it is kept) and duplicate SOP instance (0x0111) count as "
        "delivered. An object without an accepted presentation context, or with status 0x0122, is not sent again: the "
        "kinds in destinations.fallbacks go in its place. Any other status, and any failure of the association, is "
        "tried again. What a destination does not commit is sent again."
    )
    yield Paragraph(
        "By STOW-RS the Failure Reason and the Warning Reason of the answer count, where it has none the HTTP status: "
        "0x0122, 0xC122 and 415 are not supported, 408, 425, 429 and 502 to 504 mean that the destination is away."
    )
    yield Heading("4.2.2.4", "Configured destinations")
    if not config.destinations:
        yield Paragraph("None.")
        return
    yield Table(("name", "objects"), tuple((each.name, ", ".join(each.send)) for each in config.destinations))


def _proposed(stored_in: str) -> str:
    """Name the stored encoding first, then those of the second presentation context."""
    contexts = (", ".join(map(name_of, syntaxes)) for syntaxes in proposed_syntaxes(stored_in))
    return "; in a context of its own: ".join(contexts)
