#!/usr/bin/env python3
"""A worker for actiond in Python. It needs nothing but the standard library (3.8 or later).

    worker.py http://localhost:7000 Render [NAME]

It takes actions of the queue Render one after the other, does them in `work`, and reports. Several queues are named with
commas between them. If the environment has ACTIOND_KEY, that is sent as the key.

Put your own work into `work`. Call `job.checkpoint()` often: it waits while the action is paused, and raises `Stopped` once
it is to stop. Return a dict, XML or any text; raise `Fatal` where another attempt would only fail again.
"""

import base64
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml


def work(job):
    """The work of one action. This one only sleeps, in steps."""
    steps = int(job.parameters.get("Steps", "10"))
    for step in range(steps):
        job.checkpoint()
        time.sleep(float(job.parameters.get("StepSecs", "0.1")))
        job.progress(100 * (step + 1) / steps, f"step {step + 1} of {steps}", {"steps": step + 1})
    if "Fail" in job.parameters:
        raise RuntimeError(job.parameters["Fail"])
    return {"steps": steps, "language": "Python"}


class Stopped(Exception):
    """The action is to stop, or this program is to end."""


class Fatal(Exception):
    """The action failed, and would fail again."""


class Lost(Exception):
    """The action is not this worker's any more."""


class Refused(Exception):
    """The server does not want this request, now or later."""


class Parameters(dict):
    """Parameters by their names, in whatever case. A value is text, or bytes where it is no text."""

    def __init__(self, element):
        super().__init__()
        for one in element.iter("parameter"):
            name, value = one.get("name"), one.get("value", one.text)
            if one.get("name_encoding") == "base64":
                name = decoded(name)
            if value is None and one.get("length", "0") != "0":
                raise Fatal(f"the value of {name} is too long to be sent: {one.get('length')} bytes")
            value = value or ""
            self.setdefault(str(name).lower(), decoded(value) if one.get("encoding") == "base64" else value)

    def get(self, name, default=None):
        return super().get(name.lower(), default)

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def __contains__(self, name):
        return super().__contains__(name.lower())


def decoded(text):
    """Decodes base64: text where it is UTF-8, else bytes."""
    value = base64.b64decode(text)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


class Server:
    """Calls to the server. What may succeed later is tried again."""

    def __init__(self, address, key=None):
        self.address = address.rstrip("/") + "/"
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def call(self, patience, **parameters):
        """Returns the reply's data; tries for this many seconds."""
        until, pause = time.monotonic() + patience, 0.2
        while True:
            try:
                return self.try_call(parameters)
            except (OSError, xml.ParseError, Unavailable) as error:
                if time.monotonic() + pause > until:
                    raise
                print(f"{parameters['WorkAction']}: {error}; again in {pause} s", file=sys.stderr)
            time.sleep(pause)
            pause = min(pause * 2, 10)

    def try_call(self, parameters):
        body = urllib.parse.urlencode({"action": "QueueWork", **parameters}).encode()
        request = urllib.request.Request(self.address, body, self.headers)
        try:
            with urllib.request.urlopen(request, timeout=float(parameters.get("Wait", 0)) + 30) as reply:
                tree = xml.fromstring(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                tree = self.error_of(error)
        if tree.findtext("response") == "SUCCESS":
            return tree.find("responsedata")
        code = tree.findtext(".//errorcode")
        why = tree.findtext(".//errordescription")
        if code == "ERRORWORKLOST":
            raise Lost(why)
        if code == "ERRORUNAVAILABLE":
            raise Unavailable(why)
        raise Refused(why)


    @staticmethod
    def error_of(error):
        """The reply that came with a status that is none of success. A proxy's page may be XML, too."""
        try:
            tree = xml.fromstring(error.read())
            if tree.findtext(".//errorcode"):
                return tree
        except xml.ParseError:
            pass
        why = f"HTTP status {error.code} {error.reason}"
        may_pass = error.code in (408, 429) or error.code >= 500
        raise (Unavailable if may_pass else Refused)(why) from error


class Unavailable(Exception):
    """The server can't do it now, but may later."""


class Job:
    """An action that this worker has, and a thread that keeps it."""

    def __init__(self, server, element, name):
        self.server, self.name = server, name
        self.token, self.attempt = element.findtext("token"), element.findtext("attempt")
        self.lease = float(element.findtext("leasesecs"))
        self.element = element
        self.wish, self.news, self.over = "run", {}, False
        self.changed = threading.Condition()
        threading.Thread(target=self.keep, daemon=True).start()

    def checkpoint(self):
        """Waits while the action is paused."""
        with self.changed:
            while self.wish == "pause" and not ending.is_set():
                self.changed.wait(1)
            if self.wish == "lost":
                raise Lost("the action is not this worker's any more")
            if self.wish != "run" or ending.is_set():
                raise Stopped

    def progress(self, percent, stage, partial=None):
        """Shows how far the work is; a part of the result is kept if the action is stopped."""
        with self.changed:
            self.news = {"Progress": f"{percent:.3f}", "Stage": stage}
            if partial is not None:
                self.news["Partial"] = json.dumps(partial)

    def keep(self):
        """Says every two seconds that the worker lives, and hears of a pause or a stop at once."""
        heard = time.monotonic()
        while not self.over:
            with self.changed:
                news, self.news = self.news, {}
            try:
                data = self.say("heartbeat", 0, Worker=self.name, Wait=min(2, self.lease / 3), **news)
                wish, heard = data.findtext("wish"), time.monotonic()
            except (Lost, Refused):
                wish = "lost"
            except (OSError, xml.ParseError, Unavailable):
                # The server may be starting again. Work goes on for as long as the lease may hold.
                time.sleep(0.5)
                wish = self.wish if time.monotonic() - heard < 10 * self.lease else "lost"
            with self.changed:
                self.wish = "lost" if wish == "force" else wish
                self.changed.notify_all()
            if self.wish == "lost":
                return

    def say(self, word, patience, **parameters):
        return self.server.call(
            patience, WorkAction=word, Token=self.token, Attempt=self.attempt, **parameters
        )

    def tell(self, word, told):
        """Says how it ended. What the server does not take will not be taken later: the action fails, and says why."""
        try:
            self.say(word, 600, **told)
        except Refused as error:
            self.say("fail", 600, Error=f"{word} was refused: {error}"[:1000], Retry="false")

    def run(self):
        try:
            self.parameters = Parameters(self.element)
            result = work(self)
            if isinstance(result, dict):
                result = json.dumps(result)
            word, told = "finish", {"Result": result or ""}
        except Stopped:
            word, told = "release", {}
        except Lost:
            word, told = None, {}
        except Fatal as error:
            word, told = "fail", {"Error": str(error), "Retry": "false"}
        except Exception as error:
            word, told = "fail", {"Error": f"{type(error).__name__}: {error}"}
        try:
            if word == "release" and self.news:
                self.say("heartbeat", 5, **self.news)
            if word:
                self.tell(word, told)
        except (Lost, Refused, OSError, xml.ParseError, Unavailable) as error:
            print(error, file=sys.stderr)
        finally:
            self.over = True


ending = threading.Event()


def main():
    address, queues, *name = sys.argv[1:]
    name = name[0] if name else f"{socket.gethostname()}-{os.getpid()}"
    server = Server(address, os.environ.get("ACTIOND_KEY"))
    for sent in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sent, lambda *_: ending.set())
    while not ending.is_set():
        try:
            # No longer than it may take to end: an action whose reply is broken off is missing for the time of its lease.
            data = server.call(20, WorkAction="take", QueueName=queues, Worker=name, Wait=5)
        except (OSError, xml.ParseError, Unavailable):
            continue
        except Refused as error:
            sys.exit(str(error))
        for element in data.iter("work"):
            Job(server, element, name).run()


if __name__ == "__main__":
    main()
