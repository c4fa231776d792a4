# RQ: its worker pool, which starts a process for each job.

system=rq
source load/rivals/python.sh
title=RQ
workers='2 of its worker pool, a fork for each job'
start_seen='in the job'

begin_workers() {
  launch workers "$rivals/python/venv/bin/rq" worker-pool -n 2 -q --url "redis://127.0.0.1:$redis_port/0" load
}

count() {
  waiting=$(redis LLEN rq:queue:load) backlog=$waiting
  finished=$(redis ZCARD rq:finished:load)
}
