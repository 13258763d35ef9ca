"""Reaches Hilum over TLS as a browser does, and runs into its limits."""
import json
import pathlib
import sys
import time

import requests

run_file, trusted = sys.argv[1:]
run = json.loads(pathlib.Path(run_file).read_text())
port = run["https"].rsplit(":", 1)[1]
url = f"https://localhost:{port}"
browser = requests.Session()
browser.trust_env = False  # an environment's own authorities would win
browser.verify = trusted
browser.headers["Origin"] = url

page = browser.get(f"{url}/")
assert page.status_code == 200, page.status_code
always = page.headers["Strict-Transport-Security"]
assert int(always.split(";")[0].removeprefix("max-age=")) >= 31_536_000, always
refused = browser.get(f"{url}/api/v1/studies")
assert refused.status_code == 401 and refused.headers["Strict-Transport-Security"] == always
rebound = browser.get(f"{url}/", headers={"Host": "evil.example"})
assert rebound.status_code == 404 and rebound.headers["X-Content-Type-Options"] == "nosniff"

operator = {"Authorization": f"Bearer {run['operator_token']}", "Hilum-Tenant": "a"}
invited = requests.post(f"http://{run['http']}/api/v1/invitations", headers=operator,
                        json={"email": "ada@example.org", "role": "owner"})
assert invited.status_code < 300, invited.text
token = invited.json()["link"].rsplit("/", 1)[1]
made = browser.post(f"{url}/auth/invitation/accept", json={
    "token": token, "name": "Ada", "password": "correct horse battery staple"})
assert made.status_code < 300, made.text
cookies = [value for name, value in made.raw.headers.items() if name.lower() == "set-cookie"]
session = next(value for value in cookies if value.startswith("__Host-hilum-session="))
for part in ("secure", "httponly", "samesite=lax", "path=/"):
    assert part in [piece.strip().lower() for piece in session.split(";")], session
# The cookie is this door's: in clear it is nobody's.
in_clear = f"http://{run['http']}"
cookie = session.split(";")[0]
for headers in ({}, {"Cookie": cookie}, {"Cookie": cookie, "Authorization": "Bearer x"}):
    answer = requests.get(f"{in_clear}/api/v1/studies", headers=headers)
    assert answer.status_code == 401, answer.text
studies = browser.get(f"{url}/api/v1/studies")
assert studies.status_code == 200, studies.text

changed = browser.patch(f"{url}/api/v1/settings", json={"requests_per_minute": 60})
assert changed.status_code == 200, changed.text
end = time.monotonic() + 60
answer = browser.get(f"{url}/api/v1/studies")
while answer.status_code == 200 and time.monotonic() < end:
    answer = browser.get(f"{url}/api/v1/studies")
assert answer.status_code == 429, answer.text
assert answer.json()["code"] == "too-many"
assert 1 <= int(answer.headers["Retry-After"]) <= 60
assert browser.get(f"{url}/").status_code == 200
