"""A mail server of others (aiosmtpd): writes each mail that it takes as JSON.

mail_server.py PORT FOLDER [CERTIFICATE KEY USER PASSWORD]

With a certificate it takes mail over STARTTLS only, from USER only.
"""

import email
import email.policy
import json
import pathlib
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult


class Folder:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.count = 0

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        mail = {
            "to": envelope.rcpt_tos,
            "from": str(message["from"]),
            "subject": str(message["subject"]),
            "auto_submitted": str(message["auto-submitted"]),
            "body": message.get_content(),
            "tls": session.ssl is not None,
        }
        self.count += 1
        part = self.folder / "part"
        part.write_text(json.dumps(mail))
        part.rename(self.folder / f"{self.count:04}.json")
        return "250 taken"


def main():
    port, folder, rest = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    options = {}
    if rest:
        certificate, key, user, password = rest
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)

        def authenticate(server, session, envelope, mechanism, data):
            right = data.login == user.encode() and data.password == password.encode()
            return AuthResult(success=right)

        options = {
            "tls_context": context,
            "require_starttls": True,
            "authenticator": authenticate,
            "auth_required": True,
        }

    class Server(Controller):
        def factory(self):
            return SMTP(self.handler, **options)

    Server(Folder(folder), hostname="127.0.0.1", port=port).start()
    threading.Event().wait()


main()
