# What the adapters share whose jobs come by HTTP. To be sourced by one, which sets `dialect`, its name in http.lua and, where
# workers use HTTP too, in http_latency.py; `counts_path`, which replies with the counts of its queue; and http_port, in `start`.
# What is different with it, it defines anew after this.

# by_http FUNCTION MODE CONNECTIONS SECONDS: `load` or `start_load`, in that mode of http.lua.
by_http() {
  DIALECT=$dialect MODE=$2 "$1" "$http_port" "$3" "$4" load/rivals/http.lua
}

enqueue() {
  by_http load push "$connections" "$1"
}

begin_work() {
  by_http start_load cycle "$connections" "$1"
}

end_work() {
  finish_load
}

# ask_counts: prints the reply.
ask_counts() {
  curl -gsS --max-time 60 "http://127.0.0.1:$http_port$counts_path"
}

count() {
  local reply
  reply=$(ask_counts)
  number waiting '"waiting":([0-9]+)' "$reply"
  number finished '"completed":([0-9]+)' "$reply"
  backlog=$waiting
}

latency() {
  timeout "$client_limit" python3 load/rivals/http_latency.py "$dialect" "$http_port" "$1"
}

fill() {
  BATCH=1000 by_http start_load fill 2 "$2"
  stop_when_full "$1"
}
