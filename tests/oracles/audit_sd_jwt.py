"""Verifies leaves with the library sd-jwt: {"jwk", "presentations"} on stdin, {"thumbprint", "payloads"} on stdout."""

import json
import sys

from jwcrypto.jwk import JWK
from sd_jwt.verifier import SDJWTVerifier

request = json.load(sys.stdin)
key = JWK.from_json(json.dumps(request["jwk"]))


def verified(presentation):
    return SDJWTVerifier(presentation, lambda issuer, header: key).get_verified_payload()


json.dump({"thumbprint": key.thumbprint(), "payloads": [verified(p) for p in request["presentations"]]}, sys.stdout)
