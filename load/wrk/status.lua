-- Asks for the status of one action, each time another of those whose tokens stand in the file TOKENS, one a line.
-- QUEUE (Process). CHECK is best "SUCCESS". More settings: common.lua.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "common.lua")

local queue = os.getenv("QUEUE") or "Process"
-- Enough to defeat caches of single replies, few enough to stay small in each thread.
local most = 20000
local requests = {}

function init()
   math.randomseed(os.time() + id)
   local path = "/action=QueueInfo&QueueName=" .. queue .. "&QueueAction=getStatus&Token="
   local file = os.getenv("TOKENS") or error("TOKENS must name a file of tokens")
   for token in io.lines(file) do
      if #requests == most then break end
      requests[#requests + 1] = wrk.format("GET", path .. token)
   end
   assert(#requests > 0, "the file of tokens is empty")
end

function request()
   return requests[math.random(#requests)]
end
