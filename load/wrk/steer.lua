-- Submits slow actions, cancels or stops each of them and measures two times of each command: until its reply, and until
-- a status shows that the action really is Cancelled or Stopped. Each thread of wrk must have one connection (-t N -c N).
--
--   CANCEL=QUEUES  paused queues, separated by commas, where actions wait and are cancelled
--   STOP=QUEUES    queues where actions of high priority run and are stopped
--
-- A reply that is not the expected one counts as bad. At the end there is one line of NAME=VALUE for each command and
-- queue, with times in microseconds, and one with the number of bad replies and of errors of HTTP and sockets.

local ffi = require("ffi")
ffi.cdef [[
typedef struct { long seconds; long nanoseconds; } steer_time;
int clock_gettime(int clock, steer_time *time);
]]
local time = ffi.new("steer_time")

-- The monotonic clock in microseconds; CLOCK_MONOTONIC is 1 on Linux.
local function now()
   ffi.C.clock_gettime(1, time)
   return tonumber(time.seconds) * 1e6 + tonumber(time.nanoseconds) / 1e3
end

local threads = {}

function setup(thread)
   threads[#threads + 1] = thread
end

-- Globals, for done() to fetch; wrk can't hand over nested tables, so each time is a global of its own.
bad = 0

local jobs = {}
for command, queues in pairs({ cancel = os.getenv("CANCEL") or "", stop = os.getenv("STOP") or "" }) do
   for queue in queues:gmatch("[^,]+") do
      jobs[#jobs + 1] = { command = command, queue = queue, name = command .. " " .. queue }
   end
end
table.sort(jobs, function(a, b) return a.name < b.name end)

local current, step, token = 1, "submit", nil
local sent, commanded = 0, 0

local function path(job)
   if step == "submit" then
      return "/action=" .. job.queue .. "&Sleep=600&Priority=10&Note=" .. string.rep("x", 100)
   end
   local about = "/action=QueueInfo&QueueName=" .. job.queue .. "&Token=" .. token .. "&QueueAction="
   if step == "command" then return about .. job.command end
   if step == "end" then return about .. "getStatus&Wait=10" end
   return about .. "getStatus"
end

-- wrk also asks once before it begins, so this must not change the step.
function request()
   sent = now()
   if step == "command" then commanded = sent end
   return wrk.format("GET", path(jobs[current]))
end

local function wrong(status, body)
   bad = bad + 1
   if bad == 1 then
      io.stderr:write("first wrong reply (", jobs[current].name, ", ", step, "): ", status, " ", body:sub(1, 600), "\n")
   end
   current, step = current % #jobs + 1, "submit"
end

-- Keeps a time as "KIND NAME NUMBER", with the numbers from 1.
local counts = {}
local function keep(kind, name, value)
   local key = kind .. " " .. name
   counts[key] = (counts[key] or 0) + 1
   _G[key .. " " .. counts[key]] = value
end

function response(status, _, body)
   local received = now()
   local job = jobs[current]
   local state = body:match("<status>(.-)</status>")
   if status ~= 200 or not body:find("SUCCESS", 1, true) then
      wrong(status, body)
   elseif step == "submit" then
      token = body:match("<token>(.-)</token>")
      step = job.command == "stop" and "running" or "command"
   elseif step == "running" then
      if state == "Processing" then
         step = "command"
      elseif state ~= "Queued" then
         wrong(status, body)
      end
   elseif step == "command" then
      if job.command == "cancel" and state == "Cancelled" or job.command == "stop" and state == "Stopping" then
         keep("reply", job.name, received - sent)
         step = "end"
      else
         wrong(status, body)
      end
   elseif state == (job.command == "cancel" and "Cancelled" or "Stopped")
      and (body:find("<process_start_time>", 1, true) ~= nil) == (job.command == "stop") then
      keep("end", job.name, received - commanded)
      current, step = current % #jobs + 1, "submit"
   else
      wrong(status, body)
   end
end

local function percentile(values, percent)
   return values[math.max(1, math.ceil(#values * percent / 100))] or -1
end

function done(summary)
   local wrongs = 0
   for _, thread in ipairs(threads) do wrongs = wrongs + thread:get("bad") end
   local function all(kind, name)
      local values = {}
      for _, thread in ipairs(threads) do
         for number = 1, math.huge do
            local value = thread:get(kind .. " " .. name .. " " .. number)
            if not value then break end
            values[#values + 1] = value
         end
      end
      table.sort(values)
      return values
   end
   for _, job in ipairs(jobs) do
      local replied, ended = all("reply", job.name), all("end", job.name)
      print(string.format("STEERED command=%s queue=%s count=%d reply_p50=%d reply_p99=%d reply_max=%d end_p50=%d end_p99=%d",
         job.command, job.queue, #ended, percentile(replied, 50), percentile(replied, 99), percentile(replied, 100),
         percentile(ended, 50), percentile(ended, 99)))
   end
   local errors = summary.errors
   print(string.format("TOTAL errors=%d bad=%d",
      errors.status + errors.connect + errors.read + errors.write + errors.timeout, wrongs))
end
