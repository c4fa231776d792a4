# Celery: its worker with two processes, late acknowledgements, results in Redis.

system=celery
source load/rivals/python.sh
title=Celery
workers='2 processes (prefork), `acks_late`, results in Redis'
start_seen='in the job'

begin_workers() {
  RESULTS=yes launch workers "$rivals/python/venv/bin/celery" -A python_client worker -c 2 --loglevel WARNING
}

count() {
  waiting=$(redis LLEN celery) backlog=$waiting
  finished=$(redis -n 1 DBSIZE)
}
