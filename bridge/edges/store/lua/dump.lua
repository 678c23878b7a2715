-- Reads keys whole, each with all that belongs to it, in one step. Writes nothing, so a replica will do.
-- ARGV: 1 mode, 2 how many suffixes follow, suffixes, names without the namespace.
--   'all'      the keys as they are
--   'closed'   of incidents only the closed ones; any other answers {name, 'open'}
--   'decisive' also whatever the open work refers to: its incidents (with the suffixes), their locks and budgets
-- Answers a list of {name, type, ms to live or -1, values, groups}. Values: as Redis gives them, a hash, a sorted set and
-- a stream's entries flat. Groups of a stream: {name, last delivered, oldest pending or ''}.
local mode, names_at = ARGV[1], 3 + N(ARGV[2])

local function state_of(name)
  local id = string.match(name, '^incident:([^:]+)')
  return id and (redis.call('HGET', incident_key(id), 'state') or 'gone')
end

local readers = {
  string = function(key) return {redis.call('GET', key)} end,
  hash = function(key) return redis.call('HGETALL', key) end,
  list = function(key) return redis.call('LRANGE', key, 0, -1) end,
  set = function(key) return redis.call('SMEMBERS', key) end,
  zset = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
  stream = function(key) return redis.call('XRANGE', key, '-', '+') end,
}

local function groups_of(key)
  local groups = {}
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local group = {}
    for n = 1, #flat, 2 do group[flat[n]] = flat[n + 1] end
    local oldest = group.pending > 0 and redis.call('XPENDING', key, group.name)[2] or ''
    groups[#groups + 1] = {group.name, group['last-delivered-id'], oldest}
  end
  return groups
end

local out, seen = {}, {}
local function dump(name)
  if seen[name] then return end
  seen[name] = true
  local state = mode == 'closed' and state_of(name)
  if state and state ~= 'closed' then
    out[#out + 1] = {name, 'open'}
    return
  end
  local key = P .. name
  local kind = redis.call('TYPE', key).ok
  if kind == 'none' then return end
  local groups = kind == 'stream' and groups_of(key) or {}
  out[#out + 1] = {name, kind, redis.call('PTTL', key), readers[kind](key), groups}
end

local function dump_incident(id)
  dump('incident:' .. id)
  for n = 3, names_at - 1 do dump('incident:' .. id .. ':' .. ARGV[n]) end
  local known = redis.call('HMGET', incident_key(id), 'target', 'host')
  if known[1] then
    for _, kind in ipairs({'lock:', 'breaker:', 'window:target:'}) do dump(kind .. known[1]) end
  end
  if known[2] then dump('window:host:' .. known[2]) end
end

for n = names_at, #ARGV do dump(ARGV[n]) end
if mode == 'decisive' then
  for _, id in ipairs(redis.call('HVALS', P .. 'open')) do dump_incident(id) end
  for _, id in ipairs(redis.call('ZRANGE', P .. 'later', 0, -1)) do dump_incident(id) end
  if redis.call('EXISTS', P .. 'work') == 1 then
    for _, entry in ipairs(redis.call('XRANGE', P .. 'work', '-', '+')) do dump_incident(entry[2][2]) end
  end
end
return out
