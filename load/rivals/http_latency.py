"""Measures how long a job waits on an idle server that is spoken to by HTTP, for load/compare.

    http_latency.py SYSTEM PORT COUNT

One job at a time, 20 ms after the one before; prints microseconds, one job a line. Where workers fetch jobs (RustQueue,
Ocypod), a second process asks again 1 ms after each empty answer, and a job has started when it holds it; it is finished
then. actiond starts actions itself and does not show when, so the time is that until the reply with the durable result.
"""

import http.client
import json
import multiprocessing
import os
import sys
import time

NOTE = "x" * 139
DATA = {"note": NOTE}


def rustqueue_finish(job):
    return "POST", f"/api/v1/jobs/{job}/ack", {}


def ocypod_finish(job):
    return "PATCH", f"/job/{job}", {"status": "completed"}


# The submission, the request for a job, the job's id in its reply, and how to finish it.
SYSTEMS = {
    "rustqueue": (
        ("POST", "/api/v1/queues/load/jobs", {"name": "job", "data": DATA}),
        ("GET", "/api/v1/queues/load/jobs", None),
        lambda body: (json.loads(body)["job"] or {}).get("id"),
        rustqueue_finish,
    ),
    "ocypod": (
        ("POST", "/queue/load/job", {"input": DATA}),
        ("GET", "/queue/load/job", None),
        lambda body: json.loads(body)["id"] if body else None,
        ocypod_finish,
    ),
    "actiond": (("GET", "/action=Finish&Wait=10&Note=" + NOTE, None), None, None, None),
}


def ask(connection, method, path, body):
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
    reply = connection.getresponse()
    content = reply.read()
    if reply.status > 299:
        sys.exit(f"{method} {path}: {reply.status} {content[:200]}")
    return content


def work(system, port, started):
    """Takes jobs until it is killed, and writes the time of each start."""
    _, pull, job_of, finish = SYSTEMS[system]
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while True:
        job = job_of(ask(connection, *pull))
        if job is None:
            time.sleep(0.001)
            continue
        os.write(started, time.monotonic_ns().to_bytes(8, "little"))
        ask(connection, *finish(job))


def main():
    system, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    push, pull, _, _ = SYSTEMS[system]
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.connect()
    worker = None
    if pull:
        reader, writer = os.pipe()
        worker = multiprocessing.Process(target=work, args=(system, port, writer), daemon=True)
        worker.start()
    for _ in range(count):
        time.sleep(0.02)
        sent = time.monotonic_ns()
        content = ask(connection, *push)
        if worker:
            started = int.from_bytes(os.read(reader, 8), "little")
        else:
            started = time.monotonic_ns()
            if b"<status>Finished</status>" not in content and b"SUCCESS" not in content:
                sys.exit(f"not finished: {content[:300]}")
        print((started - sent) // 1000)
    if worker:
        worker.terminate()


main()
