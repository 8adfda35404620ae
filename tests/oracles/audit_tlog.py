"""Verifies an export (first argument) with the library aics-tlog: its checkpoint, every tile, every entry.

Stdin: {"vkey", "receipts": {index: C2SP tlog-proof}}. Stdout: {"origin", "size", "tiles", "bundles"}.
"""

import base64
import json
import sys
from pathlib import Path

from aics_tlog import FileSystemTileReader, audit_tiles, leaf_hash, parse_note, parse_vkey, read_entry, verify_checkpoint
from aics_tlog import verify_inclusion

log = Path(sys.argv[1]) / "log"
request = json.load(sys.stdin)
key = parse_vkey(request["vkey"])


def opened(note):
    result = verify_checkpoint(parse_note(note), key, expected_origin=key.name)
    assert result.ok, result.error
    return result


def check_receipt(index, text, reader, size):
    proof, checkpoint = text.split("\n\n", 1)
    version, index_line, *hashes = proof.split("\n")
    assert (version, index_line) == ("c2sp.org/tlog-proof@v1", f"index {index}")
    head = opened(checkpoint)
    entry = read_entry(reader, index, size)
    hashes = [base64.b64decode(line, validate=True) for line in hashes]
    assert verify_inclusion(leaf_hash(entry), index, head.size, hashes, head.root), f"receipt {index}"


head = opened((log / "checkpoint").read_text())
reader = FileSystemTileReader(log)
audited = audit_tiles(reader, head.size, head.root)
for index, text in request["receipts"].items():
    check_receipt(int(index), text, reader, head.size)
json.dump({"origin": head.origin, "size": head.size, "tiles": audited.tiles, "bundles": audited.bundles}, sys.stdout)
