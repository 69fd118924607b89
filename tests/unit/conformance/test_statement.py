"""The statement is that of the code and of the configuration."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from echo_scp.config import Config, Destination, ReceiveConfig
from echo_scp.conformance import as_html, as_markdown, statement
from echo_scp.conformance.blocks import Document, Heading, Table
from echo_scp.conformance.rendering import as_html as render_html
from echo_scp.conformance.rendering import as_markdown as render_markdown
from echo_scp.receive.status import Status

PACS = Destination(name="pacs", ae_title="ARCHIVE", host="pacs.example.org", send=("SR",))


def tables(config: Config) -> list[Table]:
    return [block for block in statement(config).blocks if isinstance(block, Table)]


def test_the_sections_are_those_of_the_standard_in_order():
    """PS3.2 Annex A; the table of contents is its section 2."""
    headings = [block for block in statement(Config()).blocks if isinstance(block, Heading)]
    numbers = [heading.number for heading in headings]

    assert [number for number in numbers if "." not in number] == ["1", "3", "4", "5", "6", "7", "8"]
    assert numbers == sorted(numbers, key=lambda number: [int(part) for part in number.split(".")])


@pytest.mark.parametrize("words", ["ECHO_7", "10444", "destinations.pacs.host | pacs.example.org", "ARCHIVE"])
def test_values_of_the_configuration_are_in_it(words):
    """Another installation has another statement."""
    config = Config(receive=ReceiveConfig(ae_title="ECHO_7", port=10444), destinations=(PACS,))

    assert words in as_markdown(statement(config))


@pytest.mark.parametrize("key", [f"receive.{key}" for key in ReceiveConfig.model_fields])
def test_every_key_of_receiving_is_in_it(key):
    """None is forgotten when a key is added."""
    parameters = {row[0] for table in tables(Config()) if table.columns[0] == "parameter" for row in table.rows}

    assert any(name == key or name.startswith(f"{key}.") for name in parameters)


def test_every_status_that_is_answered_is_in_it_and_no_other():
    """What a machine's log shows can be looked up."""
    (table,) = (table for table in tables(Config()) if table.columns[0] == "request")

    assert {int(row[1], 16) for row in table.rows} == set(Status)


def test_every_uid_has_a_name_and_retired_ones_say_so():
    """Two SOP classes of ultrasound clips have the same name; only one is made today."""
    (table,) = (table for table in tables(Config()) if table.columns[-1] == "set of transfer syntaxes")
    names = {uid: name for name, uid, _ in table.rows}

    assert all(names.values())
    assert names["1.2.840.10008.5.1.4.1.1.3"] == "Ultrasound Multi-frame Image Storage (retired)"
    assert names["1.2.840.10008.5.1.4.1.1.3.1"] == "Ultrasound Multi-frame Image Storage"


def test_a_closed_port_is_said_to_be_closed():
    """Where TLS is all there is, nobody should be sent to the plain port."""
    tls = {"certificate": "/etc/node.pem", "only": True, "port": 2763}
    facts = {row[0]: row[1] for table in tables(Config(receive={"tls": tls})) for row in table.rows if len(row) == 2}

    assert (facts["port"], facts["port for TLS"]) == ("closed", "2763")


def test_every_table_is_as_wide_as_its_head():
    """A row with a missing cell would shift what it says."""
    assert all(len(row) == len(table.columns) for table in tables(Config(destinations=(PACS,))) for row in table.rows)


def test_html_is_one_page_with_every_heading_and_no_link_outside():
    """Hospital networks are closed."""
    document = statement(Config())
    page = as_html(document)
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            seen.extend(value or "" for name, value in attributes if name in ("id", "href", "src"))

    Reader().feed(page)

    assert all(value.startswith(("#", "s")) for value in seen)
    assert {f"s{block.number}" for block in document.blocks if isinstance(block, Heading)} <= set(seen)
    assert not re.search(r"https?://", page)


def test_text_cannot_break_the_rendering():
    """A destination may be called what it likes."""
    document = Document("a <b>", (Table(("x",), (("1 | <2>",),)),))

    assert "1 \\| <2>" in render_markdown(document)
    assert "<td>1 | &lt;2&gt;</td>" in render_html(document)
