-- Submits one action over and over. QUEUE (Process), BYTES of parameters (150), METHOD (GET, or POST with a form).
-- CHECK is best "<token>". More settings: common.lua.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "common.lua")

local queue = os.getenv("QUEUE") or "Process"
local bytes = tonumber(os.getenv("BYTES") or "") or 150
local fixed = "&Reference=http%3A%2F%2Fwww.example.com%2Fdocuments%2F2024%2Freport.pdf&Database=News&Note="
local parameters = fixed .. string.rep("x", math.max(bytes - #fixed, 0))

if os.getenv("METHOD") == "POST" then
   wrk.method = "POST"
   wrk.path = "/"
   wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
   wrk.body = "action=" .. queue .. parameters
else
   wrk.path = "/action=" .. queue .. parameters
end
