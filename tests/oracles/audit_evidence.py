"""Verifies evidence (first argument) with the libraries aics-tlog and sd-jwt: checkpoint, each proof, each disclosure.

Stdin: the log's verifier key. Stdout: {"events", "disclosed": {field: count}}.
"""

import base64
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path

from aics_tlog import leaf_hash, parse_note, parse_vkey, verify_checkpoint, verify_inclusion
from jwcrypto.jwk import JWK
from sd_jwt.verifier import SDJWTVerifier

folder = Path(sys.argv[1])
vkey = parse_vkey(sys.stdin.read())
manifest = json.loads((folder / "manifest.json").read_text())
for name, expected in manifest["files"].items():
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected, name

head = verify_checkpoint(parse_note((folder / "checkpoint").read_text()), vkey, expected_origin=vkey.name)
assert head.ok, head.error
lines = [json.loads(line) for line in (folder / "events.ndjson").read_text().splitlines()]
claims = json.loads(base64.urlsafe_b64decode(lines[0]["leaf"].split(".")[1] + "=="))
key = JWK.from_json(json.dumps(claims["event_key"]))
disclosed = Counter()
for line in lines:
    proof, checkpoint = line["proof"].split("\n\n", 1)
    assert checkpoint == (folder / "checkpoint").read_text()
    _, index, *hashes = proof.split("\n")
    assert index == f"index {line['index']}"
    hashes = [base64.b64decode(text, validate=True) for text in hashes]
    assert verify_inclusion(leaf_hash(line["leaf"].encode()), line["index"], head.size, hashes, head.root), index
    presentation = "~".join([line["leaf"], *line["disclosures"], ""])
    payload = SDJWTVerifier(presentation, lambda issuer, header: key).get_verified_payload()
    shown = {name: value for field, value in payload.items() if isinstance(value, dict) for name, value in value.items() if name == field}
    assert shown == line["disclosed"], (shown, line["disclosed"])
    disclosed.update(shown.keys())
json.dump({"events": len(lines), "disclosed": disclosed}, sys.stdout)
