"""Command sets of C-STORE, against pynetdicom's reading and writing of them."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.dimse_messages import C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE

from echo_scp.receive.command import Command, read_command, store_response
from echo_scp.receive.upper_layer import ProtocolError
from tests.network.peers import command_set, element

uids = st.from_regex(r"[12]\.[1-9][0-9]{0,8}(\.[1-9][0-9]{0,8}){1,5}", fullmatch=True)


def pynetdicom_bytes(message: C_STORE_RQ | C_STORE_RSP, primitive: C_STORE) -> bytes:
    message.primitive_to_message(primitive)
    (fragment,) = (value for data in message.encode_msg(1, 0) for _, value in data.presentation_data_value_list[:1])
    return fragment[1:]


@given(class_uid=uids, instance_uid=uids, message_id=st.integers(0, 65535))
def test_a_request_is_read_as_pynetdicom_writes_it(class_uid, instance_uid, message_id):
    """Every value, and that a data set follows."""
    request = C_STORE()
    request.MessageID, request.Priority = message_id, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = UID(class_uid), UID(instance_uid)
    request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID = "MOVER", 7
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    message.command_set.CommandDataSetType = 1
    encoded = next(iter(message.encode_msg(1, 0))).presentation_data_value_list[0][1][1:]

    assert read_command(encoded) == Command(1, message_id, True, class_uid.encode(), instance_uid.encode())


@given(class_uid=uids, instance_uid=uids, message_id=st.integers(0, 65535), status=st.sampled_from([0, 0xA700, 0x0110]))
def test_a_response_is_written_as_pynetdicom_writes_it(class_uid, instance_uid, message_id, status):
    """Byte for byte."""
    response = C_STORE()
    response.MessageIDBeingRespondedTo, response.Status = message_id, status
    response.AffectedSOPClassUID, response.AffectedSOPInstanceUID = UID(class_uid), UID(instance_uid)
    request = Command(1, message_id, True, class_uid.encode(), instance_uid.encode())

    assert store_response(request, status) == pynetdicom_bytes(C_STORE_RSP(), response)


@pytest.mark.parametrize("padding", [b"\0", b" ", b"", b"\0\0 "])
def test_padding_is_no_part_of_a_uid(padding):
    """Null is the standard's, blanks occur."""
    encoded = command_set().replace(b"1.2.3\0", b"1.2.3\0") + element(0x1000, b"1.2.4" + padding)

    assert read_command(encoded).sop_instance_uid == b"1.2.4"


def test_of_an_element_that_comes_twice_the_last_counts():
    """As with pydicom."""
    assert read_command(command_set() + element(0x0110, b"\x09\0")).message_id == 9


def test_elements_of_other_groups_and_unknown_ones_are_passed_over():
    """A command set may hold retired elements."""
    extra = element(0x0010, b"1996 ") + struct.pack("<HHL", 8, 0x18, 4) + b"9.9\0"

    assert read_command(command_set() + extra) == read_command(command_set())


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\0",
        bytes(7),
        command_set()[:-1],
        command_set()[:30],
        struct.pack("<HHL", 0, 0x0100, 0xFFFFFFFF) + command_set(),
        element(0x0100, b"\x01") + element(0x0800, b"\1\0"),
        element(0x0100, b"\1\0"),
    ],
)
def test_what_is_no_command_set_is_a_protocol_error(encoded):
    """Lengths that lie, elements that are missing."""
    with pytest.raises(ProtocolError):
        read_command(encoded)


@given(
    encoded=st.one_of(
        st.binary(max_size=200),
        st.builds(lambda cut, tail: command_set()[:cut] + tail, st.integers(0, 150), st.binary(max_size=60)),
    )
)
def test_any_bytes_are_a_command_or_a_protocol_error(encoded):
    """Nothing else is raised."""
    try:
        command = read_command(encoded)
    except ProtocolError:
        return
    assert 0 <= command.field <= 65535
    assert BytesIO(store_response(command, 0)).read(2) == b"\0\0"
