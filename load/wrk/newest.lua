-- Asks for a list: the ten actions that finished last, or what LIST says (parameters behind getStatus, from their &).
-- QUEUE (Process). CHECK is best "SUCCESS". More settings: common.lua.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "common.lua")

wrk.path = "/action=QueueInfo&QueueName=" .. (os.getenv("QUEUE") or "Process") .. "&QueueAction=getStatus"
   .. (os.getenv("LIST") or "&State=finished&Sort-By=finish-time&Sort-Order=descending&MaxResults=10")
