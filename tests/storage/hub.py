"""The hub's protocol over loopback, as far as its own client asks: a folder served as the one repository org/name.

The hub itself cannot be reached from a test; its client, the cache that it keeps and all of ours are the real ones.
"""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def served(folder, name="org/name", revisions=("main", COMMIT)):
    """Serve a folder and yield the endpoint, and the list of paths that were asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer()

        def do_GET(self):
            self.answer()

        def answer(self):
            path = unquote(urlsplit(self.path).path)
            asked.append((self.command, path))
            for revision in revisions:
                if path == f"/api/models/{name}/revision/{revision}":
                    return self.say(json.dumps(facts(folder, name)).encode())
                if path == f"/api/models/{name}/tree/{revision}":
                    return self.say(json.dumps(tree(folder)).encode())
                file = folder / path.removeprefix(f"/{name}/resolve/{revision}/")
                if path.startswith(f"/{name}/resolve/{revision}/") and file.is_file():
                    content = file.read_bytes()
                    return self.say(content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"'})
            code = "RevisionNotFound" if path.startswith(f"/api/models/{name}/") else "RepoNotFound"
            return self.say(b"", {"X-Error-Code": code}, status=404)

        def say(self, content, headers=None, status=200):
            self.send_response(status)
            for key, value in {"X-Repo-Commit": COMMIT, "Content-Length": str(len(content)), **(headers or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def facts(folder, name):
    return {
        "id": name,
        "sha": COMMIT,
        "private": False,
        "siblings": [{"rfilename": each["path"]} for each in tree(folder)],
    }


def tree(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        {
            "type": "file",
            "path": str(path.relative_to(folder)),
            "size": path.stat().st_size,
            "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
        }
        for path in files
    ]
