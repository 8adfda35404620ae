"""A door before a Kafka broker that has none of its own: SASL by `scramp`, and cuts.

    front.py <options as JSON>

Options: listen, upstream (ports); mechanism, username, password (optional); and `cut`, the name of a file: while it is there, no
answer to a Produce gets through. The broker has stored the batch then, the connection ends.
"""

import asyncio
import json
import os
import struct
import sys

from scramp import ScramException, ScramMechanism

OPTIONS = json.loads(sys.argv[1])
PRODUCE, HANDSHAKE, VERSIONS = 0, 17, 18


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", OPTIONS["listen"])
    async with server:
        await server.serve_forever()


async def serve(reader, writer):
    upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", OPTIONS["upstream"])
    due = bool(OPTIONS.get("mechanism"))
    try:
        while True:
            request = await frame(reader)
            if due and api(request) == HANDSHAKE:
                if not await authenticate(request, reader, writer):
                    return
                due = False
                continue
            # Before, one may ask for versions alone.
            if due and api(request) != VERSIONS:
                return
            send(upstream_writer, request)
            answer = await frame(upstream_reader)
            if api(request) == PRODUCE and os.path.exists(OPTIONS["cut"]):
                return
            send(writer, answer)
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        upstream_writer.close()
        writer.close()


async def authenticate(request, reader, writer):
    (name,) = strings(request, 1)
    known = name == OPTIONS["mechanism"]
    names = struct.pack(">ih", 1, len(OPTIONS["mechanism"])) + OPTIONS["mechanism"].encode()
    send(writer, correlation(request) + struct.pack(">h", 0 if known else 33) + names)
    said = said_by_scram() if name.startswith("SCRAM") else said_by_plain()
    next(said)
    while known:
        request = await frame(reader)
        (message,) = blobs(request)
        answer, done = said.send(message)
        code = 58 if answer is None else 0
        answer = answer or b""
        lifetime = struct.pack(">q", 0) if version(request) else b""
        send(writer, correlation(request) + struct.pack(">hhi", code, -1, len(answer)) + answer + lifetime)
        if code or done:
            return code == 0
    return False


def said_by_plain():
    message = yield
    good = message == b"\0".join([b"", OPTIONS["username"].encode(), OPTIONS["password"].encode()])
    yield (b"" if good else None), True


def said_by_scram():
    mechanism = ScramMechanism(OPTIONS["mechanism"])
    salt, stored_key, server_key, iterations = mechanism.make_auth_info(OPTIONS["password"], iteration_count=4096)
    auth = {OPTIONS["username"]: (salt, stored_key, server_key, iterations)}
    server = mechanism.make_server(lambda username: auth[username])
    message = yield
    try:
        server.set_client_first(message.decode())
        message = yield server.get_server_first().encode(), False
        server.set_client_final(message.decode())
        yield server.get_server_final().encode(), True
    except (ScramException, KeyError):
        yield None, True


async def frame(reader):
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)


def send(writer, body):
    writer.write(struct.pack(">i", len(body)) + body)


def api(request):
    return struct.unpack_from(">h", request)[0]


def version(request):
    return struct.unpack_from(">h", request, 2)[0]


def correlation(request):
    return request[4:8]


def body(request):
    (client,) = struct.unpack_from(">h", request, 8)
    return request[10 + max(client, 0) :]


def strings(request, count):
    rest = body(request)
    for _ in range(count):
        (length,) = struct.unpack_from(">h", rest)
        yield rest[2 : 2 + length].decode()
        rest = rest[2 + length :]


def blobs(request):
    (length,) = struct.unpack_from(">i", body(request))
    yield body(request)[4 : 4 + length]


asyncio.run(main())
