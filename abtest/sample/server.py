#!/usr/bin/env python3
"""The sample model server: answers as one version of a model. Standard library only, Python 3.9 or newer.

    server.py --port 8080 --version a

GET /healthz says that it lives. /predict scores {"features": [numbers]}, or the list alone, with a small neural
network whose weights come from the version's name, so that two versions answer differently. Every other path answers
too. Each answer is JSON and names the version; X-Amzn-Trace-Id is given back, so that an answer can be joined to the
load balancer's log.

    server.py --outcomes outcomes.jsonl

also appends a line for each prediction, {"trace_id": "Root=1-...", "score": 0.73}, and one for whatever is learned of
it later: POST /feedback {"trace_id": "Root=1-...", "correct": 1}. `abtest report --outcomes` joins them to variants.
Any server may be told: the trace id says which answer it is about.

--errors 0.02 lets that share of the requests fail, --delay 0.03 makes all slower by 30 ms; health checks stay well,
those of a load balancer on any path.
"""

import argparse
import json
import math
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

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
        trace = self.headers.get("X-Amzn-Trace-Id")
        try:
            status, found = self.found(self.path.partition("?")[0], self.body(), trace)
        except BadRequest as error:
            status, found = 400, {"error": str(error)}
        found["version"] = self.server.version
        found["milliseconds"] = round((time.perf_counter() - started) * 1000, 3)
        if trace:
            found["trace_id"] = trace
        self.reply(status, found)

    def found(self, path, body, trace):
        if path == "/healthz" or self.headers.get("User-Agent") == "ELB-HealthChecker/2.0":
            return 200, {"status": "ok"}
        time.sleep(self.server.delay)
        if random.random() < self.server.errors:
            return 500, {"error": "one of the --errors"}
        if path == "/predict":
            score = self.server.model.score(self.features(body))
            if trace:
                self.server.record({"trace_id": trace, "score": score})
            return 200, {"score": score}
        if path == "/feedback" and self.server.outcomes:
            self.server.record(self.feedback(body))
            return 200, {"status": "noted"}
        return 200, {"method": self.command, "path": path}

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

    @staticmethod
    def feedback(body):
        try:
            found = json.loads(body)
            values = [value for name, value in found.items() if name != "trace_id"]
            numbers = [value for value in values if isinstance(value, (int, float)) and math.isfinite(value)]
            if not isinstance(found["trace_id"], str) or not values or len(numbers) < len(values):
                raise TypeError
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            raise BadRequest('expected JSON such as {"trace_id": "Root=1-...", "correct": 1}') from None
        return found

    def log_message(self, *_):
        pass


class Server(ThreadingTCPServer):  # an HTTPServer asks DNS for its own name
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address, version, outcomes=None, errors=0, delay=0):
        self.version, self.model, self.errors, self.delay = version, Model(version), errors, delay
        # Each line is one write, so that several servers can share a file.
        self.outcomes = open(outcomes, "a", buffering=1, encoding="utf-8") if outcomes else None
        self.lock = threading.Lock()
        super().__init__(address, Handler)

    def record(self, outcome):
        """Append a line to the outcomes. A busy server hands it to a queue or a log instead."""
        if self.outcomes:
            with self.lock:
                self.outcomes.write(json.dumps(outcome) + "\n")

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description="The sample model server.")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--version", default="a", help="name of the model's version")
    parser.add_argument("--outcomes", metavar="FILE", help="append predictions and feedback, as JSON lines")
    parser.add_argument("--errors", type=float, default=0, metavar="SHARE", help="of the requests, answered with a 500")
    parser.add_argument("--delay", type=float, default=0, metavar="SECONDS", help="before each answer")
    args = parser.parse_args()
    with Server((args.host, args.port), args.version, args.outcomes, args.errors, args.delay) as server:
        print("version {} on port {}".format(args.version, server.server_address[1]), flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
