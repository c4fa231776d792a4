-- What the wrk scripts share: checks of the replies, a bound on their number, and the one line with the figures.
--
-- Settings are environment variables, since wrk gives each thread its own Lua:
--   CHECK=TEXT       count replies without TEXT as bad and print the first of each thread. Checking costs the
--                    load generator time, so measure without it and check in a run of its own.
--   COUNT=N          stop all load after about N replies (at most one per connection more). wrk itself then sleeps until
--                    its time is over or it gets SIGINT.
--   KEY=TEXT         a key, sent with each request.
--   THREADS=N        the -t of wrk, needed with COUNT.
--   TOKENS_OUT=FILE  write the token of every SAMPLE-th reply to FILE.1, FILE.2, ... (one per thread).

local threads = {}

function setup(thread)
   threads[#threads + 1] = thread
   thread:set("id", #threads)
end

replies, bad = 0, 0

local check = os.getenv("CHECK") or ""
local key = os.getenv("KEY") or ""
if key ~= "" then wrk.headers["Authorization"] = "Bearer " .. key end
local count = tonumber(os.getenv("COUNT") or "")
local limit = count and math.ceil(count / tonumber(os.getenv("THREADS") or "1"))
local sample = tonumber(os.getenv("SAMPLE") or "") or 1
local tokens_out = os.getenv("TOKENS_OUT") or ""

if check ~= "" or limit or tokens_out ~= "" then
   local file

   function response(status, _, body)
      replies = replies + 1
      if status ~= 200 or not body:find(check, 1, true) then
         bad = bad + 1
         if bad == 1 then
            io.stderr:write("first bad reply: ", status, " ", body:sub(1, 300), "\n")
         end
      elseif tokens_out ~= "" and replies % sample == 0 then
         if not file then
            file = assert(io.open(tokens_out .. "." .. id, "w"))
            -- wrk ends without closing files.
            file:setvbuf("line")
         end
         file:write(body:match("<token>(.-)</token>"), "\n")
      end
      if limit and replies >= limit then wrk.thread:stop() end
   end
end

-- The figures, in one line of NAME=VALUE: times in microseconds, errors of the HTTP and socket kind, bad replies.
function done(summary, latency)
   local wrong = 0
   for _, thread in ipairs(threads) do wrong = wrong + thread:get("bad") end
   local errors = summary.errors
   print(string.format(
      "RESULT requests=%d rps=%d p50_us=%d p90_us=%d p99_us=%d errors=%d bad=%d",
      summary.requests, summary.requests * 1e6 / summary.duration,
      latency:percentile(50), latency:percentile(90), latency:percentile(99),
      errors.status + errors.connect + errors.read + errors.write + errors.timeout, wrong))
end
