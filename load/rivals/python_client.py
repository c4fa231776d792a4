"""Producers and jobs of RQ and Celery, for load/compare.

    python_client.py enqueue SECONDS THREADS   single jobs from that many threads; prints jobs a second
    python_client.py feed THREADS              submits until SIGTERM, as long as less than 1,000 jobs wait
    python_client.py latency COUNT             one job at a time, 20 ms after the one before has started
    python_client.py fill COUNT SECONDS        as many as fit into that time; prints how many

Settings are environment variables: SYSTEM (rq or celery), REDIS_PORT, and STARTS, the file to which a job appends the
microseconds from just before its submission to its start. The monotonic clock is the same in all processes.
Workers import this file: `rq worker-pool` runs `job`, `celery -A python_client worker` runs `celery_job`.
"""

import os
import signal
import sys
import threading
import time

PORT = os.environ.get("REDIS_PORT", "6379")
SYSTEM = os.environ.get("SYSTEM", "rq")
NOTE = "x" * 139


def job(sent, note):
    """Does nothing; tells when it started if it was given the time of its submission."""
    if sent:
        line = b"%d\n" % ((time.monotonic_ns() - sent) // 1000)
        file = os.open(os.environ["STARTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line)
        os.close(file)


if SYSTEM == "celery":
    from celery import Celery

    app = Celery("python_client", broker=f"redis://127.0.0.1:{PORT}/0")
    app.conf.update(
        # A job is taken from Redis for good when it is done, not when a worker has received it.
        task_acks_late=True,
        broker_pool_limit=64,
        broker_connection_retry_on_startup=True,
        worker_hijack_root_logger=False,
    )
    # Only workers have a result backend: with one, a producer also subscribes to each job's result.
    if os.environ.get("RESULTS"):
        app.conf.result_backend = f"redis://127.0.0.1:{PORT}/1"

    @app.task
    def celery_job(sent, note):
        """See job."""
        job(sent, note)


class Rq:
    """The queue of RQ."""

    def __init__(self):
        from redis import Redis
        from rq import Queue

        self.queue = Queue("load", connection=Redis(port=int(PORT)))
        self.prepare = Queue.prepare_data

    def enqueue(self, sent=0):
        self.queue.enqueue("python_client.job", sent, NOTE)

    def enqueue_many(self, count):
        self.queue.enqueue_many([self.prepare("python_client.job", [0, NOTE]) for _ in range(count)])

    def waiting(self):
        return len(self.queue)


class CeleryQueue:
    """The queue of Celery."""

    def __init__(self):
        from redis import Redis

        self.redis = Redis(port=int(PORT))

    def enqueue(self, sent=0):
        celery_job.delay(sent, NOTE)

    def enqueue_many(self, count):
        with app.producer_pool.acquire(block=True) as producer:
            for _ in range(count):
                celery_job.apply_async((0, NOTE), producer=producer)

    def waiting(self):
        return self.redis.llen("celery")


def in_threads(count, work):
    """Runs work(number) in that many threads and waits for all."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def enqueue(queue, seconds, threads):
    done = [0] * threads
    queue.enqueue()
    begin = time.monotonic()

    def work(number):
        while time.monotonic() - begin < seconds:
            queue.enqueue()
            done[number] += 1

    in_threads(threads, work)
    print("RPS", int(sum(done) / (time.monotonic() - begin)))


def feed(queue, threads):
    stopped = threading.Event()
    room = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())

    def work(_):
        while not stopped.is_set():
            if room.wait(0.1):
                queue.enqueue()

    watchers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in watchers:
        thread.start()
    while not stopped.is_set():
        if queue.waiting() < 1000:
            room.set()
        else:
            room.clear()
        stopped.wait(0.02)
    for thread in watchers:
        thread.join()


def latency(queue, count):
    path = os.environ["STARTS"]
    open(path, "w").close()
    size = 0
    for _ in range(count):
        queue.enqueue(time.monotonic_ns())
        limit = time.monotonic() + 20
        while os.stat(path).st_size == size:
            if time.monotonic() > limit:
                sys.exit("no start within 20 s")
            time.sleep(0.001)
        size = os.stat(path).st_size
        time.sleep(0.02)


def fill(queue, count, seconds):
    begin = time.monotonic()
    done = 0
    while done < count and time.monotonic() - begin < seconds:
        some = min(500, count - done)
        queue.enqueue_many(some)
        done += some
    print("FILLED", done)


def main():
    queue = CeleryQueue() if SYSTEM == "celery" else Rq()
    mode, numbers = sys.argv[1], [int(text) for text in sys.argv[2:]]
    {"enqueue": enqueue, "feed": feed, "latency": latency, "fill": fill}[mode](queue, *numbers)


if __name__ == "__main__":
    main()
