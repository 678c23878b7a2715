-- One incident has been told to a sink, or has not. ARGV: 1 sink, 2 incident, 3 teller, 4 how, then by how:
--   'told', 'silent' (there was nothing to say): 5 ms until it is looked at again (-1: when it moves)
--   'held': the sink as a whole takes nothing now. 5 what it said, 6 first pause ms, 7 longest pause ms, 8 the pause it
--     asked for (-1: none)
--   'refused': it does not take this one. 5 what it said, 6 first pause ms, 7 longest pause ms, 8 tries in all
-- Answers {'lost'}, {'ok'} or {'dead'}
local sink, id, how = ARGV[1], ARGV[2], ARGV[4]
if redis.call('HGET', P .. 'teller:' .. sink, id) ~= ARGV[3] then return {'lost'} end
local due, state, told = P .. 'due:' .. sink, P .. 'sink:' .. sink, incident_key(id) .. ':told'
redis.call('ZREM', P .. 'leased:' .. sink, id)
redis.call('HDEL', P .. 'teller:' .. sink, id)
local exists = redis.call('EXISTS', incident_key(id)) == 1

if how == 'told' or how == 'silent' then
  if how == 'told' then
    redis.call('HSET', state, 'worked_at', now)
    redis.call('HDEL', state, 'held_until', 'held_since', 'held_why', 'fails')
  else
    -- Nothing was said, so nothing counts against the pace.
    local interval = redis.call('HGET', state, 'interval')
    if interval then redis.call('HINCRBYFLOAT', state, 'pace', '-' .. interval) end
  end
  redis.call('HDEL', told, sink .. ':tries', sink .. ':error', sink .. ':failed_at')
  redis.call('ZREM', P .. 'dead:' .. sink, id)
  if N(ARGV[5]) >= 0 and exists then redis.call('ZADD', due, 'LT', now + N(ARGV[5]), id) end
  return {'ok'}
end
if not exists then return {'ok'} end

local function pause(times) return math.min(N(ARGV[7]), N(ARGV[6]) * 2 ^ math.min(times - 1, 20)) end
local before = redis.call('HMGET', told, sink .. ':tries', sink .. ':failed_at')
local tries, again = N(before[1] or '0'), 0
if how == 'held' then
  local s = redis.call('HMGET', state, 'held_until', 'worked_at')
  if N(s[1] or '0') <= now then
    local ms = N(ARGV[8]) >= 0 and N(ARGV[8]) or pause(redis.call('HINCRBY', state, 'fails', 1))
    redis.call('HSET', state, 'held_until', string.format('%d', now + ms), 'held_why', ARGV[5])
    redis.call('HSETNX', state, 'held_since', now)
  end
  -- A message is to blame only where others got through since it last failed. Behind those it waits as long as they do.
  if before[2] and N(s[2] or '0') > N(before[2]) then
    tries = tries + 1
    again = pause(tries)
  end
else
  tries = tries + 1
  again = pause(tries)
end
redis.call('HSET', told, sink .. ':tries', tries, sink .. ':error', ARGV[5], sink .. ':failed_at', now)
if how == 'refused' and tries >= N(ARGV[8]) or tries >= 20 then
  redis.call('ZADD', P .. 'dead:' .. sink, now, id)
  return {'dead'}
end
redis.call('ZADD', due, 'LT', string.format('%d', now + again), id)
return {'ok'}
