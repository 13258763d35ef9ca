"""A webhook of others: verifies each message with the standardwebhooks package.

webhook_server.py PORT SECRET FIRST FILE

Answers the first message with the status FIRST, each other one with 204, and one
that is not signed with 401. Appends what it verified to FILE, a JSON object a line.
"""

import http.server
import json
import pathlib
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            message = hook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.answer(401)
            return
        status = first.pop() if first else 204
        told = {
            "id": self.headers["webhook-id"],
            "answered": status,
            "traceparent": self.headers["traceparent"],
            "message": message,
        }
        with file.open("a") as lines:
            lines.write(json.dumps(told) + "\n")
        self.answer(status)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


port, secret, status, path = sys.argv[1:]
hook = Webhook(secret)
first = [int(status)]
file = pathlib.Path(path)
http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
