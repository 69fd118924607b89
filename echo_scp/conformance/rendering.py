"""A document as Markdown, or as one HTML page that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from echo_scp.conformance.blocks import Block, Document, Heading, Listing, Paragraph, Table

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0;font-size:.9rem}"
    "th,td{border:1px solid #999;padding:.25rem .6rem;text-align:left;vertical-align:top}"
    "th{background:#eee}td{overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}th{background:#333}a{color:#9cf}}"
)


def as_markdown(document: Document) -> str:
    """Return Markdown with pipe tables."""
    contents = [f"{'  ' * (head.level - 1)}- {head.number} {head.text}" for head in _headings(document)]
    parts = [f"# {document.title}", "\n".join(contents), *(_markdown(block) for block in document.blocks)]
    return "\n\n".join(parts) + "\n"


def as_html(document: Document) -> str:
    """Return one HTML page; headings can be linked to."""
    title = escape(document.title)
    contents = "".join(
        f'<li><a href="#s{head.number}">{head.number} {escape(head.text)}</a></li>' for head in _headings(document)
    )
    body = "\n".join(_html(block) for block in document.blocks)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n'
        f'<nav aria-label="Contents"><ul>{contents}</ul></nav>\n{body}\n</body>\n</html>\n'
    )


def _headings(document: Document) -> Iterator[Heading]:
    return (block for block in document.blocks if isinstance(block, Heading))


def _markdown(block: Block) -> str:
    match block:
        case Heading(number, text):
            return f"{'#' * (block.level + 1)} {number} {text}"
        case Paragraph(text):
            return text
        case Listing(items):
            return "\n".join(f"- {item}" for item in items)
        case Table(columns, rows):
            return "\n".join((_row(columns), _row(("---",) * len(columns)), *map(_row, rows)))


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _html(block: Block) -> str:
    match block:
        case Heading(number, text):
            level = block.level + 1
            return f'<h{level} id="s{number}">{number} {escape(text)}</h{level}>'
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Listing(items):
            return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"
        case Table(columns, rows):
            head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in columns)
            body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
            return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
