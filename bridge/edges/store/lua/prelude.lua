-- Shared by every script. KEYS[1] is the namespace with its hash tag ("{hemostat}"), so that all keys built from
-- it live in one Redis Cluster slot and one script can be one transition.
local P = KEYS[1] .. ':'
local N = tonumber
local CLOCK_LEAP_MS = 600000
local EPISODE_KEPT_MS = '2592000000'

-- Redis' own time, never below the highest that is known: what a grant was given at, and what `due` writes down every few
-- seconds, beside the server's own time then. After a failover to a server whose clock is behind, time goes on from
-- there, at half the pace of that clock until they meet: cooldowns and leases get longer, never shorter, and nothing
-- stands still. A clock that is set forward while it is behind counts for one step.
local LONGEST_STEP_MS = 2000
local function clock()
  local t = redis.call('TIME')
  local own = t[1] * 1000 + math.floor(t[2] / 1000)
  local known = redis.call('MGET', P .. 'clock', P .. 'tick')
  local highest = N(known[1] or '0')
  local reached, at = string.match(known[2] or '', '^(%d+) (%d+)$')
  if reached then
    local step = math.min(math.max(own - N(at), 0), LONGEST_STEP_MS)
    highest = math.max(highest, N(reached) + math.floor(step / 2))
  end
  if own < highest then return highest, highest - own end
  return own, 0
end

local now, behind = clock()
local AT = string.format('{"at_ms":%d,', now)

-- The kill switch: until when it is pulled in ms, 0 until somebody resumes; nil: it is not.
local function paused()
  local p = redis.call('HMGET', P .. 'pause', 'since', 'until')
  local till = N(p[2] or '') or 0
  if p[1] and (till == 0 or till > now) then return till end
end

local function incident_key(id) return P .. 'incident:' .. id end

-- unpack() has its limit at some thousand values. `flag` is a word of the command before its values, or nil.
local function in_pieces(command, key, values, flag)
  for first = 1, #values, 1000 do
    local last = math.min(first + 999, #values)
    if flag then redis.call(command, key, flag, unpack(values, first, last))
    else redis.call(command, key, unpack(values, first, last)) end
  end
end

-- Puts incidents on the backlog of every sink, each to be told after the time that sink gathers news for. What waits
-- there already is told once, and not later than it was due; what is being told is told again afterwards.
local sinks
local function mark(ids)
  if #ids == 0 then return end
  sinks = sinks or redis.call('HGETALL', P .. 'sinks')
  for s = 1, #sinks, 2 do
    local due, news = string.format('%d', now + sinks[s + 1]), {}
    for _, id in ipairs(ids) do news[#news + 1], news[#news + 2] = due, id end
    in_pieces('ZADD', P .. 'due:' .. sinks[s], news, 'LT')
  end
end

-- Every transition leaves a line in the stream of all transitions and in the incident's own story, in the same script
-- that makes it: an audit written afterwards is an audit that a crash can lose.
local function audit(id, line)
  redis.call('XADD', P .. 'events', 'MAXLEN', '~', '100000', '*', 'incident', id, 'entry', line)
end

local function note(id, entry)
  local line = AT .. string.sub(entry, 2)
  redis.call('RPUSH', incident_key(id) .. ':timeline', line)
  audit(id, line)
  mark({id})
end

-- What a worker tells bears the mark of its call, since a call whose answer was lost comes again: it is told once.
local CALL = 8
local function tell(id, entry)
  if entry == '' then return end
  local call = string.sub(entry, 1, CALL)
  if redis.call('HGET', incident_key(id), 'told') == call then return end
  redis.call('HSET', incident_key(id), 'told', call)
  note(id, string.sub(entry, CALL + 1))
end

-- Whoever carries it looks now, not at the end of its pause; if somebody holds it this moment, once it is given back.
local function wake(id)
  if redis.call('ZSCORE', P .. 'later', id) then redis.call('ZADD', P .. 'later', now, id)
  else redis.call('HSET', incident_key(id), 'woken', 1) end
end

-- Only the holder of a live claim may write. 'lost' tells the worker to drop everything it holds of it.
local function held(id, claim)
  local c = redis.call('HMGET', incident_key(id), 'claim', 'lease')
  return c[1] == claim and N(c[2] or '0') > now
end

local function write(id, doc, evidence, state, lease, grounds)
  local key = incident_key(id)
  redis.call('HSET', key, 'doc', doc, 'state', state, 'lease', now + N(lease))
  if evidence ~= '' then redis.call('HSET', key, 'evidence', evidence) end
  if grounds and grounds ~= '' then redis.call('HSET', key, 'audit', grounds) end
end

-- A storm whose end has come is told once, with its counts, by whichever script notices first.
local function end_storm()
  local key = P .. 'storm'
  local over = redis.call('HGET', key, 'until')
  if not over or N(over) > now then return {} end
  local fields, flat = {}, redis.call('HGETALL', key)
  for n = 1, #flat, 2 do fields[flat[n]] = flat[n + 1] end
  redis.call('DEL', key)
  audit('', AT .. '"event":"storm_ended","fields":' .. cjson.encode(fields) .. '}')
  return flat
end

-- Who is sick, one set for each host: containers by name (what an alert names otherwise by kind and name), scored by
-- until when they count: '+inf' while an incident about them is open.
local SICK_KEPT_MS = 600000

local function sick_target(target)
  local host, name = string.match(target, '^([^/]*)/(.+)$')
  return P .. 'sick:' .. host, name
end

local function sick_subject(subject)
  local kind, host, name = string.match(subject, '^(%a+)/([^/]+)/(.+)$')
  if not kind or kind == 'unknown' then return nil end
  if kind ~= 'container' then name = kind .. '/' .. name end
  return P .. 'sick:' .. host, name
end
