"""A real SMTP server (aiosmtpd) on a loopback port; ends when its standard input does.

Arguments: a folder, and `tls`, `starttls`, `plaintext` or `injecting`. The folder has `server.pem` (certificate and key);
the server writes its port to `port`, and each mail that it takes, as Python's `email` reads it, to a line of `mails`.
With TLS it takes mails from `keyfold` with the password in `password` alone. Recipients named `refused`, `full`, `later`
and `slow` are refused for good, refused for good, put off, and answered after a minute.

`injecting` is a server with somebody before it who has written answers of their own into the stream before TLS began, and
which itself takes no mail.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult

folder, mode = Path(sys.argv[1]), sys.argv[2]
port = int((folder / "port").read_text()) if (folder / "port").exists() else 0


def context():
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(folder / "server.pem")
    return made


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        answers = {"refused": "550 no such person", "full": "552 too much", "later": "451 come again"}
        local = address.split("@")[0]
        if local == "slow":
            await asyncio.sleep(60)
        if local in answers:
            return answers[local]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope):
        parsed = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": server.transport.get_extra_info("ssl_object") is not None or session.ssl is not None,
            "login": session.authenticated,
            "headers": [[name, str(value)] for name, value in parsed.items()],
            "text": parsed.get_content(),
            "multipart": parsed.is_multipart(),
            "defects": [str(defect) for defect in parsed.defects],
            "raw": envelope.original_content.decode("ascii"),
        }
        with open(folder / "mails", "a") as mails:
            mails.write(json.dumps(mail) + "\n")
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    password = (folder / "password").read_bytes()
    return AuthResult(success=data.login == b"keyfold" and data.password == password, handled=False)


def protocol():
    options = {"hostname": "localhost", "authenticator": authenticate}
    if mode != "plaintext":
        options |= {"auth_required": True, "auth_require_tls": mode == "starttls"}
    if mode == "starttls":
        options |= {"tls_context": context(), "require_starttls": True}
    return SMTP(Handler(), **options)


async def inject(reader, writer):
    writer.write(b"220 localhost\r\n")
    await reader.readline()
    writer.write(b"250-localhost\r\n250 STARTTLS\r\n")
    await reader.readline()
    writer.write(b"220 go ahead\r\n250-localhost\r\n250 AUTH PLAIN\r\n")
    await writer.start_tls(context())
    data = False
    while line := await reader.readline():
        if data:
            if line == b".\r\n":
                data = False
                writer.write(b"554 not taken\r\n")
            continue
        command = line[:4].upper()
        data = command == b"DATA"
        answers = {b"EHLO": b"250-localhost\r\n250 AUTH PLAIN\r\n", b"AUTH": b"235 ok\r\n", b"DATA": b"354 go\r\n"}
        writer.write(answers.get(command, b"250 ok\r\n"))
    writer.close()


async def serve():
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    if mode == "injecting":
        server = await asyncio.start_server(inject, "127.0.0.1", port)
    else:
        tls = context() if mode == "tls" else None
        server = await loop.create_server(protocol, "127.0.0.1", port, ssl=tls)
    (folder / "port.new").write_text(str(server.sockets[0].getsockname()[1]))
    (folder / "port.new").rename(folder / "port")
    (folder / "ready").touch()
    await ended.wait()


asyncio.run(serve())
