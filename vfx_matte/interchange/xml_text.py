"""XML as text. Takes an element tree, gives the bytes of a document with its declaration; never escapes by hand.

Characters that XML 1.0 cannot hold as they are (control characters, lone surrogates) become U+FFFD.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, indent, tostring

_FORBIDDEN = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(root: Element, doctype: str) -> bytes:
    """The document in UTF-8, indented by tabs."""
    for element in root.iter():
        if element.text:
            element.text = _FORBIDDEN.sub("\ufffd", element.text)
        for key, value in element.attrib.items():
            element.attrib[key] = _FORBIDDEN.sub("\ufffd", value)
    indent(root, "\t")
    content: bytes = tostring(root, encoding="utf-8")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}\n'.encode() + content + b"\n"
