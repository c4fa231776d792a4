# actiond with workers elsewhere: they take actions of a queue with Type=Remote one at a time over HTTP, and finish them.

source load/rivals/actiond.sh
finish_type=Remote
title='actiond, remote workers'
workers='64 HTTP clients, one action at a time'
start_seen='until the reply to a submission with `Wait=10`, after a worker that waits over HTTP took and finished it'

eval "install_server() $(declare -f install | tail -n +2)"
install() {
  install_server
  client=${ACTIOND_WORKERS:-}
  if [[ ! $client ]]; then
    cargo build --release -p actiond-workers >&2
    client=${CARGO_TARGET_DIR:-target}/release/actiond-workers
  fi
  client=$(realpath "$client")
}

# work_with SUBMITTERS: more actions than any run finishes; all is ended by `end_work`, or with its session.
work_with() {
  launch workers "$client" "127.0.0.1:$http_port" Finish 1000000000000 64 "$1"
}

begin_workers() {
  work_with 0
}

begin_work() {
  work_with "$connections"
}

end_work() {
  kill_server workers
}
