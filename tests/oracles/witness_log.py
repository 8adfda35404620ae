"""A log of the packages aics-tlog and aics-witness, which has itself cosigned by a witness of ours.

Stdin: {"seed" (hex), "origin"}, for the log's key alone, and {"url", "ca", "witness" (verifier key)} besides.
Stdout: {"vkey"}, or {"sizes" (cosigned, one after the other), "refused" (fault: status), "monitored" (size shown to anyone)}.
"""

import hashlib
import json
import ssl
import sys
import urllib.error
import urllib.request

from aics_tlog import Checkpoint, MerkleTree, format_vkey, parse_note, parse_vkey, sign_checkpoint
from aics_tlog import verify_checkpoint, verify_cosignature, vkey_from_ed25519
from aics_witness.feeder import WitnessClient
from aics_witness.protocol import format_add_checkpoint_request
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ask = json.load(sys.stdin)
origin = ask["origin"]
key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(ask["seed"]))
vkey = vkey_from_ed25519(origin, key.public_key())


def tree(history):
    return MerkleTree(f"{history if index > 2 else ''} {index}".encode() for index in range(400))


def note(history, size, key=key, origin=origin):
    head = Checkpoint(origin=origin, size=size, root=history.root(size))
    return sign_checkpoint(head, key, origin).to_bytes()


def status(body):
    request = urllib.request.Request(f"{ask['url']}/add-checkpoint", data=body, method="POST")
    try:
        with urllib.request.urlopen(request, context=tls) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        if refused.code == 409:
            assert refused.headers["Content-Type"] == "text/x.tlog.size"
            assert refused.read() == b"300\n"
        return refused.code


def sent(history, old, size, **how):
    proof = [] if old in (0, size) else history.consistency_proof(old, size)
    return status(format_add_checkpoint_request(old, proof, note(history, size, **how)))


def monitored():
    path = hashlib.sha256(origin.encode()).hexdigest()
    with urllib.request.urlopen(f"{ask['url']}/{path}/checkpoint", context=tls) as answer:
        shown = parse_note(answer.read())
    head = verify_checkpoint(shown, vkey, expected_origin=origin)
    assert head.ok, head.error
    witness = parse_vkey(ask["witness"])
    (line,) = [line for line in shown.signatures if line.key_id == witness.key_id]
    assert verify_cosignature(line.signature, witness.name, witness.public_key, origin, head.size, head.root)
    return head.size


if "url" not in ask:
    json.dump({"vkey": format_vkey(vkey)}, sys.stdout)
    sys.exit()

tls = ssl.create_default_context(cafile=ask["ca"])
honest, other = tree("honest"), tree("other")
sizes = []
with WitnessClient(ask["url"], ask["witness"], ssl_context=tls) as client:
    for size in [1, 5, 8, 300]:
        client.submit(note(honest, size), honest.consistency_proof)
        sizes.append(size)
# Another client, which starts from nothing and learns of 300 by the conflict.
with WitnessClient(ask["url"], ask["witness"], ssl_context=tls) as client:
    client.submit(note(honest, 300), honest.consistency_proof)

stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
refused = {
    "stale": sent(honest, 8, 301),
    "fork": sent(other, 300, 301),
    "same size": sent(other, 300, 300),
    "unsigned": sent(honest, 300, 301, key=stranger),
    "unknown": sent(honest, 300, 301, key=stranger, origin="stranger.example/log"),
    "malformed": status(b"old 300\n"),
}
json.dump({"sizes": sizes, "refused": refused, "monitored": monitored()}, sys.stdout)
