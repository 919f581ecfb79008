#!/usr/bin/env python3
"""The sample model server: answers as one version of a model. Standard library only, Python 3.9 or newer.

    server.py --port 8080 --version a

GET /healthz says that it lives. /predict scores {"features": [numbers]}, or the list alone, with a small neural
network whose weights come from the version's name, so that two versions answer differently. Every other path answers
too. Each answer is JSON and names the version; X-Amzn-Trace-Id is given back, so that an answer can be joined to the
load balancer's log.
"""

import argparse
import json
import math
import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FEATURES, HIDDEN, LARGEST_BODY = 16, 32, 10_000_000


class Model:
    """A network of one hidden layer, made from the version's name."""

    def __init__(self, version):
        draw = random.Random(version)
        self.hidden = [[draw.gauss(0, 0.4) for _ in range(FEATURES)] for _ in range(HIDDEN)]
        self.output = [draw.gauss(0, 0.4) for _ in range(HIDDEN)]

    def score(self, features):
        """A number between 0 and 1 for up to 16 numbers; missing ones count as 0."""
        values = (list(features) + [0.0] * FEATURES)[:FEATURES]
        layer = [math.tanh(sum(w * v for w, v in zip(row, values))) for row in self.hidden]
        return 1 / (1 + math.exp(-sum(w * v for w, v in zip(self.output, layer))))


class BadRequest(Exception):
    """The client's mistake; its text is the answer."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "abtest-sample"
    # Small answers leave at once; a connection is kept for as long as the load balancer wants it.
    wbufsize = -1
    disable_nagle_algorithm = True

    def answer(self):
        started = time.perf_counter()
        try:
            body = self.body()
            path = self.path.partition("?")[0]
            if path == "/predict":
                status, found = 200, {"score": self.server.model.score(self.features(body))}
            else:
                status, found = 200, {"status": "ok"} if path == "/healthz" else {"method": self.command, "path": path}
        except BadRequest as error:
            status, found = 400, {"error": str(error)}
        found["version"] = self.server.version
        found["milliseconds"] = round((time.perf_counter() - started) * 1000, 3)
        trace = self.headers.get("X-Amzn-Trace-Id")
        if trace:
            found["trace_id"] = trace
        self.reply(status, found)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def reply(self, status, found):
        data = json.dumps(found).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Model-Version", self.server.version)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self.chunks()
        length = self.headers.get("Content-Length", "0")
        return self.read(int(length) if length.isdigit() and length.isascii() else -1)

    def chunks(self):
        parts, total = [], 0
        while True:
            try:
                size = int(self.rfile.readline(100).split(b";")[0], 16)
            except ValueError:
                size = -1
            total += max(size, 0)
            parts.append(self.read(size if total <= LARGEST_BODY else LARGEST_BODY + 1))
            while size == 0 and self.rfile.readline(1000).strip():
                pass  # trailers
            if size == 0:
                return b"".join(parts)
            self.rfile.readline(10)

    def read(self, length):
        if not 0 <= length <= LARGEST_BODY:
            self.close_connection = True
            raise BadRequest("the body's length is missing, wrong or over 10 MB")
        return self.rfile.read(length) if length else b""

    @staticmethod
    def features(body):
        try:
            found = json.loads(body or b"[1]")
            features = found["features"] if isinstance(found, dict) else found
            if not isinstance(features, list):
                raise TypeError
            numbers = [float(value) for value in features]
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise BadRequest('expected JSON such as {"features": [0.1, 0.2]}') from None
        if not all(map(math.isfinite, numbers)):
            raise BadRequest("features must be finite numbers")
        return numbers

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address, version):
        self.version, self.model = version, Model(version)
        super().__init__(address, Handler)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description="The sample model server.")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--version", default="a", help="name of the model's version")
    args = parser.parse_args()
    with Server((args.host, args.port), args.version) as server:
        print("version {} on port {}".format(args.version, server.server_address[1]), flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
