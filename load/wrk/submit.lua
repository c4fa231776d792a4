-- Submits one action over and over. QUEUE (Process), BYTES of parameters (150), METHOD (GET, or POST with a form).
-- QUEUES=N submits to QUEUE1 to QUEUEN in turn. FAIL=N lets every Nth action of a thread end in Error.
-- CHECK is best "<token>". More settings: common.lua.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "common.lua")

local queue = os.getenv("QUEUE") or "Process"
local queues = tonumber(os.getenv("QUEUES") or "")
local fail = tonumber(os.getenv("FAIL") or "")
local bytes = tonumber(os.getenv("BYTES") or "") or 150
local fixed = "&Reference=http%3A%2F%2Fwww.example.com%2Fdocuments%2F2024%2Freport.pdf&Database=News&Note="
local parameters = fixed .. string.rep("x", math.max(bytes - #fixed, 0))

-- Points the next request, or all, at this queue.
local function to(name, more)
   if os.getenv("METHOD") == "POST" then
      wrk.method = "POST"
      wrk.path = "/"
      wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
      wrk.body = "action=" .. name .. parameters .. more
   else
      wrk.path = "/action=" .. name .. parameters .. more
   end
end

to(queue, "")

if queues or fail then
   local requests, failing, sent = {}, nil, 0

   function init()
      for i = 1, queues or 1 do
         to(queues and queue .. i or queue, "")
         requests[i] = wrk.format()
      end
      to(queues and queue .. 1 or queue, "&Fail=planned")
      failing = wrk.format()
      -- Each thread begins with another queue.
      sent = id
   end

   function request()
      sent = sent + 1
      if fail and sent % fail == 0 then return failing end
      return requests[sent % #requests + 1]
   end
end
