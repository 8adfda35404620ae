"""Parses CEF events, a list of lines on stdin, with jc. Stdout: a list of objects.

jc splits the line. Escapes are undone here, from left to right as the specification wants it: jc replaces them one kind
after the other, and so takes a backslash that is followed by an n for a newline.
"""

import json
import re
import sys

import jc

UNESCAPED = {"n": "\n", "r": "\r"}


def unescape(value):
    return re.sub(r"\\(.)", lambda found: UNESCAPED.get(found[1], found[1]), value)


def parse(line):
    (event,) = jc.parse("cef", line, quiet=True, raw=True)
    assert "unparsable" not in event, line
    return {key: unescape(value) if isinstance(value, str) else value for key, value in event.items()}


json.dump([parse(line) for line in json.load(sys.stdin)], sys.stdout)
