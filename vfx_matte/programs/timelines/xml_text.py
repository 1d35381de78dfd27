"""Writes an element tree as the bytes of an XML document.

Characters that XML 1.0 cannot hold, and others that a reader would obey, are shown as escapes: a
name is for people, the file is found by its percent-encoded address.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, indent, tostring

from vfx_matte.printable import printable


def document(root: Element, doctype: str) -> bytes:
    """The document in UTF-8, indented by tabs."""
    # names come from files that anybody made
    for element in root.iter():
        if element.text:
            element.text = printable(element.text)
        for key, value in element.attrib.items():
            element.attrib[key] = printable(value)
    indent(root, "\t")
    content: bytes = tostring(root, encoding="utf-8")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}\n'.encode() + content + b"\n"
