# actiond itself, as a user would run it: queues of Echo, spoken to by HTTP.

title=actiond
durable='fsync (`Durability=full`)'
workers='64 in the server'
start_seen='until the reply to a submission with `Wait=10`, so the finish is in it'

install() {
  server=${ACTIOND:-}
  if [[ ! $server ]]; then
    cargo build --release --bin actiond >&2
    server=${CARGO_TARGET_DIR:-target}/release/actiond
  fi
  server=$(realpath "$server")
}

version() {
  printf '%s' "$("$server" --version | cut -d ' ' -f 2)"
}

start() {
  if [[ ! -f $data/actiond.cfg ]]; then
    free_port
    http_port=$port
    cat >"$data/actiond.cfg" <<EOF
[Server]
Port=$http_port
BindAddress=127.0.0.1
[Paths]
DataDirectory=$data/actions
[Actions]
MaxFinishedSize=-1
Durability=full
[AsyncActions]
Number=2
0=Submit
1=Finish
[Submit]
Type=Echo
[Finish]
Type=${finish_type:-Echo}
MaximumThreads=64
EOF
  fi
  launch server "$server" --config actiond.cfg
  wait_for_reply "${servers[server]}" "$http_port" '/action=QueueInfo&QueueName=Submit&QueueAction=queueStatus'
}

# Nothing of this queue shall start; the flag is durable.
prepare() {
  ask "action=QueueInfo&QueueName=Submit&QueueAction=pause" >/dev/null
}

ask() {
  local reply
  reply=$(curl -gsS --max-time 60 "http://127.0.0.1:$http_port/$1")
  [[ $reply == *'<response>SUCCESS</response>'* ]] || die "reply to $1: ${reply:0:300}"
  printf '%s' "$reply"
}

enqueue() {
  QUEUE=Submit load "$http_port" "$connections" "$1" submit
}

begin_work() {
  QUEUE=Finish start_load "$http_port" "$connections" "$1" submit
}

end_work() {
  finish_load
}

count() {
  local reply
  reply=$(ask "action=QueueInfo&QueueName=Submit&QueueAction=queueStatus")
  number waiting '<pending>([0-9]+)<' "$reply"
  reply=$(ask "action=QueueInfo&QueueName=Finish&QueueAction=queueStatus")
  number finished '<finished>([0-9]+)<' "$reply"
  number backlog '<pending>([0-9]+)<' "$reply"
}

latency() {
  timeout "$client_limit" python3 load/rivals/http_latency.py actiond "$http_port" "$1"
}

fill() {
  QUEUE=Submit COUNT=$1 start_load "$http_port" "$connections" "$2" submit
  stop_when_full "$1"
}
