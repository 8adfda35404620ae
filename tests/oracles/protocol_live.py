"""The other side of a conversation with Keyfold: opens what it sealed, seals for it, verifies and signs requests.

Reads one JSON object from standard input, writes one to standard output; binary values are hex.
"""

import json
import sys

from protocol_keys import SUITE, sign_jws, verify_jws, xwing_private, xwing_public

asked = json.load(sys.stdin)
hex_of = bytes.fromhex
answer = {
    "opened": [
        SUITE.decrypt(hex_of(case["sealed"]), xwing_private(hex_of(case["seed"])), info=hex_of(case["info"])).hex()
        for case in asked["open"]
    ],
    "sealed": [
        SUITE.encrypt(hex_of(case["payload"]), xwing_public(hex_of(case["public"])), info=hex_of(case["info"])).hex()
        for case in asked["seal"]
    ],
    "verified": [verify_jws(case["jwk"], json.loads(case["body"])).hex() for case in asked["verify"]],
    "signed": [
        dict(zip(("jwk", "body"), sign_jws(case["alg"], case["url"], case["nonce"], hex_of(case["payload"]))))
        for case in asked["sign"]
    ],
}
json.dump(answer, sys.stdout)
