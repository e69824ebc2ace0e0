"""A student at a hub, without a browser: log in, wait for the server, read and write files, run a cell."""

import json
import time
import uuid
from typing import Any
from urllib.parse import quote

import requests
import websocket


class Student:
    """A browser's place at a hub.

    Args:
        address: of the hub, such as http://127.0.0.1:8000.
        name: the one to log in with.
    """

    def __init__(self, address: str, name: str):
        self.address, self.name = address, name
        self.server = f"{address}/user/{quote(name.lower())}"
        self.session = requests.Session()

    def log_in(self, password: str) -> bool:
        """Fill in the form; return whether the hub let the student in."""
        self.session.get(f"{self.address}/hub/login", timeout=30).raise_for_status()
        form = {"username": self.name, "password": password, "_xsrf": self._token("/hub/")}
        done = self.session.post(f"{self.address}/hub/login", data=form, allow_redirects=False, timeout=30)
        assert done.status_code in (302, 403)
        return done.status_code == 302

    def open(self, seconds: float = 120.0) -> None:
        """Ask for the student's server and wait until JupyterLab answers."""
        self.session.get(f"{self.address}/hub/spawn", timeout=30)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            page = self.session.get(f"{self.server}/lab", timeout=30)
            if page.ok and page.url.startswith(self.server) and "jupyter-config-data" in page.text:
                return
            time.sleep(0.2)
        raise TimeoutError(f"the server of {self.name} did not start in {seconds} s")

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """Return what the Jupyter server answers, such as `ask("GET", "contents")`."""
        heads = {"X-XSRFToken": self._token("/user/")}
        address = f"{self.server}/api/{path}"
        done = self.session.request(method, address, headers=heads, json=body or None, timeout=60)
        done.raise_for_status()
        return done.json() if done.content else None

    def run(self, code: str) -> str:
        """Run code in a new kernel; return what it printed."""
        kernel = self.ask("POST", "kernels", name="python3")["id"]
        cookies = [c for c in self.session.cookies if c.path == "/" or c.path.startswith("/user/")]
        line = websocket.create_connection(
            f"{self.server}/api/kernels/{kernel}/channels".replace("http", "ws", 1),
            cookie="; ".join(f"{c.name}={c.value}" for c in cookies),
            header={"X-XSRFToken": self._token("/user/")},
            origin=self.address,
            timeout=120,
        )
        try:
            return _run(line, code)
        finally:
            line.close()

    def _token(self, path: str) -> str:
        found = [c.value for c in self.session.cookies if c.name == "_xsrf" and c.path.startswith(path)]
        return found[0] or ""


def _run(line: websocket.WebSocket, code: str) -> str:
    """Send code to a kernel and return what it printed; an exception in it is an AssertionError here."""
    heads = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": "test"}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}}
    parts: dict[str, Any] = {"channel": "shell", "parent_header": {}, "metadata": {}, "buffers": []}
    line.send(json.dumps({**parts, "header": {**heads, "version": "5.3"}, "content": content}))
    printed = ""
    while True:
        message = json.loads(line.recv())
        if message["parent_header"].get("msg_id") != heads["msg_id"]:
            continue
        assert message["msg_type"] != "error", message["content"]["traceback"]
        if message["msg_type"] == "stream":
            printed += message["content"]["text"]
        if message["content"].get("execution_state") == "idle":
            return printed
