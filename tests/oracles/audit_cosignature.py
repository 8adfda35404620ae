"""Verifies a cosignature with the library aics-tlog, and makes one.

Stdin: {"note", "vkey" (of the log), "cosigner" (verifier key), "checkpoint", "seed" (hex), "name", "at"}.
Stdout: {"timestamp" (of the cosignature in "note"), "vkey" (of "seed" and "name"), "cosigned" ("checkpoint", cosigned by it)}.
"""

import base64
import json
import sys

from aics_tlog import cosignature_vkey, format_vkey, parse_checkpoint, parse_note, parse_vkey, sign_cosignature
from aics_tlog import verify_checkpoint, verify_cosignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ask = json.load(sys.stdin)

log = parse_vkey(ask["vkey"])
head = verify_checkpoint(parse_note(ask["note"]), log, expected_origin=log.name)
assert head.ok, head.error
witness = parse_vkey(ask["cosigner"])
(line,) = [line for line in parse_note(ask["note"]).signatures if line.name == witness.name]
assert line.key_id == witness.key_id
assert verify_cosignature(line.signature, witness.name, witness.public_key, head.origin, head.size, head.root)

key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(ask["seed"]))
tree = parse_checkpoint(parse_note(ask["checkpoint"]).text)
_, made = sign_cosignature(key, ask["name"], ask["at"], tree.origin, tree.size, tree.root)
encoded = base64.b64encode(made.key_id + made.signature).decode()
json.dump(
    {
        "timestamp": int.from_bytes(line.signature[:8], "big"),
        "vkey": format_vkey(cosignature_vkey(ask["name"], key.public_key())),
        "cosigned": f"{ask['checkpoint']}— {made.name} {encoded}\n",
    },
    sys.stdout,
)
