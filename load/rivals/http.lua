-- Load on the rivals that speak HTTP. DIALECT names one below; MODE is one of
--   push   submits one job over and over
--   cycle  submits, takes and finishes jobs, each thread about as many of each, so that the backlog stays small
--   fill   submits BATCH jobs a request, where that is possible
-- CHECK (any text) with MODE=push counts replies that are no success. The figures are printed by load/wrk/common.lua.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local mode = os.getenv("MODE") or "push"
dofile(here .. "../wrk/common.lua")

-- A job's data: 150 bytes of JSON.
local data = '{"note":"' .. string.rep("x", 139) .. '"}'

local function list(text, count)
   local all = {}
   for i = 1, count do all[i] = text end
   return table.concat(all, ",")
end

-- push(): method, path, body. pull(): the same. fill(count): the same for many jobs. finish(id). A reply is told apart
-- by `pulled(status, body)`: the ids it brought, or nil if it was no reply to a pull.
local dialects = {
   rustqueue = {
      push = function() return "POST", "/api/v1/queues/load/jobs", '{"name":"job","data":' .. data .. "}" end,
      -- Each pull is a commit of its own there, so it takes several jobs at once.
      most = 16,
      pull = function() return "GET", "/api/v1/queues/load/jobs?count=16" end,
      fill = function(count)
         return "POST", "/api/v1/queues/load/jobs", "[" .. list('{"name":"job","data":' .. data .. "}", count) .. "]"
      end,
      finish = function(id) return "POST", "/api/v1/jobs/" .. id .. "/ack", "{}" end,
      pulled = function(_, body)
         if not body:find('"jobs"', 1, true) then return nil end
         local ids = {}
         for id in body:gmatch('"id":"([%x-]+)"') do ids[#ids + 1] = id end
         return ids
      end,
   },
   ocypod = {
      push = function() return "POST", "/queue/load/job", '{"input":' .. data .. "}" end,
      pull = function() return "GET", "/queue/load/job" end,
      finish = function(id) return "PATCH", "/job/" .. id, '{"status":"completed"}' end,
      pulled = function(_, body)
         local id = body:match('"id":(%d+)')
         return id and { id } or nil
      end,
   },
   bunqueue = {
      push = function() return "POST", "/queues/load/jobs", '{"durable":true,"data":' .. data .. "}" end,
      fill = function(count)
         return "POST", "/queues/load/jobs/bulk", '{"jobs":[' .. list('{"durable":true,"data":' .. data .. "}", count) .. "]}"
      end,
   },
}
local dialect = dialects[os.getenv("DIALECT")] or error("DIALECT must name one of the dialects")

local json = { ["Content-Type"] = "application/json" }

local function format(method, path, body)
   return wrk.format(method, path, json, body)
end

if mode == "push" then
   local fixed
   function request()
      fixed = fixed or format(dialect.push())
      return fixed
   end
   if os.getenv("CHECK") then
      function response(status, _, body)
         if status < 200 or status > 299 or body:find('"ok":false', 1, true) then
            bad = bad + 1
            if bad == 1 then io.stderr:write("first bad reply: ", status, " ", body:sub(1, 300), "\n") end
         end
      end
   end
elseif mode == "fill" then
   local batch = tonumber(os.getenv("BATCH") or "") or 1000
   local fixed
   function request()
      fixed = fixed or format(dialect.fill(batch))
      return fixed
   end
else
   -- Jobs that were submitted and not asked for yet, and those that were taken and are not finished yet. A thread may be
   -- given jobs that another submitted, so the first can be below 0; over all threads it is right.
   local waiting, taken = 0, {}
   local most = dialect.most or 1
   local push, pull
   function request()
      if #taken > 0 then return format(dialect.finish(table.remove(taken))) end
      if waiting >= most then
         waiting = waiting - most
         pull = pull or format(dialect.pull())
         return pull
      end
      push = push or format(dialect.push())
      return push
   end
   function response(status, _, body)
      if status == 201 then
         waiting = waiting + 1
         return
      end
      local ids = dialect.pulled(status, body)
      if not ids then return end
      for _, id in ipairs(ids) do taken[#taken + 1] = id end
      waiting = waiting + most - #ids
   end
end
