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
import http.client
import io
import json
import math
import random
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

FEATURES, HIDDEN = 16, 32
# In bytes: of a body that is read, of one that is skipped, of feedback, and of a request line with its headers.
LARGEST_JSON, LARGEST_BODY, LARGEST_FEEDBACK, LARGEST_HEAD = 250_000, 10_000_000, 10_000, 100_000
# In seconds: for a whole request, for sending an answer, and between two requests. The last is longer than the longest
# idle timeout of a load balancer, which must be the one that closes a connection.
REQUEST_SECONDS, ANSWER_SECONDS, IDLE_SECONDS = 30, 30, 4100
# Each connection takes a thread.
MOST_CONNECTIONS, LONGEST_TRACE = 1000, 1000


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


class Reader(io.RawIOBase):
    """What a client sends, with a deadline for each whole request: a byte now and then does not extend it."""

    def __init__(self, connection, seconds):
        self.connection, self.seconds = connection, seconds
        self.expect()

    def expect(self):
        """A new request, whenever it begins."""
        self.deadline, self.left, self.is_waiting = time.monotonic() + IDLE_SECONDS, LARGEST_HEAD, True

    def readable(self):
        return True

    def readinto(self, buffer):
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise socket.timeout("timed out")
        if self.left <= 0:
            raise http.client.HTTPException("the headers are too large")
        self.connection.settimeout(remaining)
        count = self.connection.recv_into(buffer)
        self.left -= count
        if self.is_waiting:
            self.deadline, self.is_waiting = time.monotonic() + self.seconds, False
        return count


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "abtest-sample"
    # Small answers leave at once; a connection is kept for as long as the load balancer wants it.
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.reader = Reader(self.connection, self.server.seconds)
        self.rfile.close()
        self.rfile = io.BufferedReader(self.reader)

    def handle_one_request(self):
        self.reader.expect()
        super().handle_one_request()

    def answer(self):
        started = time.perf_counter()
        self.reader.left = math.inf  # the head is complete
        trace = self.headers.get("X-Amzn-Trace-Id")
        path = self.path.partition("?")[0]
        try:
            status, found = self.found(path, self.body(path), trace)
        except EOFError:
            self.close_connection = True
            return
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
            if trace and len(trace) <= LONGEST_TRACE:
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
        self.connection.settimeout(ANSWER_SECONDS)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def body(self, path):
        """The request's body; empty for a path that makes nothing of it. Raises EOFError if the client leaves."""
        limits = {"/predict": LARGEST_JSON, "/feedback": LARGEST_FEEDBACK}
        parts = [part if path in limits else b"" for part in self.parts(limits.get(path, LARGEST_BODY))]
        return b"".join(parts)

    def parts(self, most):
        lengths, codings = (self.headers.get_all(name, []) for name in ("Content-Length", "Transfer-Encoding"))
        if self.headers.defects or len(lengths) + len(codings) > 1:
            raise self.unreadable("the request's length is not clear: it has a broken, a repeated or a second header for it")
        if codings:
            if codings[0].strip().lower() != "chunked" or self.request_version == "HTTP/1.0":
                raise self.unreadable("the only Transfer-Encoding is chunked, in HTTP/1.1")
            return self.chunks(most)
        return self.read(self.length(lengths[0], r"[0-9]{1,15}", 10) if lengths else 0, most)

    def unreadable(self, why):
        """An error after which nobody knows where the next request begins."""
        self.close_connection = True
        return BadRequest(why)

    def length(self, text, pattern, base):
        if not re.fullmatch(pattern, text):
            raise self.unreadable("the body's length is not a number")
        return int(text, base)

    def chunks(self, most):
        """Source: RFC 9112, section 7.1."""
        while True:
            size = self.length(self.line().partition(";")[0].rstrip(" \t"), r"[0-9A-Fa-f]{1,8}", 16)
            if size == 0:
                break
            for part in self.read(size, most):
                most -= len(part)
                yield part
            if self.line():
                raise self.unreadable("a chunk is longer than its size")
        for _ in range(100):  # trailers
            if not self.line():
                return
        raise self.unreadable("there are too many trailers")

    def line(self):
        line = self.rfile.readline(1000)
        if not line.endswith(b"\n"):
            if len(line) < 1000:
                raise EOFError
            raise self.unreadable("a line of the body is too long")
        if not line.endswith(b"\r\n"):
            raise self.unreadable("a line of the body does not end with CR LF")
        return line[:-2].decode("latin-1")

    def read(self, length, most):
        if length > most:
            raise self.unreadable("the body is over {:,} bytes".format(most))
        while length:
            part = self.rfile.read(min(length, 65536))
            if not part:
                raise EOFError
            length -= len(part)
            yield part

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

    def __init__(self, address, version, outcomes=None, errors=0, delay=0, seconds=REQUEST_SECONDS, most=MOST_CONNECTIONS):
        self.seconds, self.free = seconds, threading.BoundedSemaphore(most)
        self.version, self.model, self.errors, self.delay = version, Model(version), errors, delay
        # Each line is one write, so that several servers can share a file.
        self.outcomes = open(outcomes, "a", buffering=1, encoding="utf-8") if outcomes else None
        self.lock = threading.Lock()
        super().__init__(address, Handler)

    def process_request(self, request, client_address):
        if self.free.acquire(blocking=False):
            try:
                return super().process_request(request, client_address)
            except RuntimeError:  # no further thread can be started
                self.free.release()
        request.settimeout(0)
        try:
            request.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        except OSError:
            pass
        self.shutdown_request(request)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

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
    parser.add_argument("--most-connections", type=int, default=MOST_CONNECTIONS, metavar="N", help="further ones get a 503")
    parser.add_argument("--timeout", type=float, default=REQUEST_SECONDS, metavar="SECONDS", help="for a whole request")
    parser.add_argument("--delay", type=float, default=0, metavar="SECONDS", help="before each answer")
    args = parser.parse_args()
    limits = {"seconds": args.timeout, "most": args.most_connections}
    with Server((args.host, args.port), args.version, args.outcomes, args.errors, args.delay, **limits) as server:
        print("version {} on port {}".format(args.version, server.server_address[1]), flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
