-- ARGV: 1 incident, 2 owner (unique per call, so a retried call is recognised), 3 lease ms, 4 step
-- Answers {'gone'}, {'busy', lease until ms, now} or {'ok', claim, now, holders in a row that did not give it back}
local key = incident_key(ARGV[1])
local c = redis.call('HMGET', key, 'state', 'owner', 'lease', 'claim', 'deaths')
if not c[1] then return {'gone'} end
if N(c[3] or '0') > now then
  if c[2] == ARGV[2] then return {'ok', c[4], now, N(c[5] or '0')} end
  return {'busy', c[3], now}
end
-- A lease that ran out is taken over under a higher number: whatever the old holder still sends is refused. It grows by
-- a random step, because a claim is not waited for: a master that was cut off and its successor count on from the same
-- number, and must not give the same one to two workers.
local claim = redis.call('INCRBY', P .. 'fence', ARGV[4])
local deaths = N(c[3] or '0') > 0 and N(c[5] or '0') + 1 or 0
redis.call('HSET', key, 'claim', claim, 'owner', ARGV[2], 'lease', now + N(ARGV[3]), 'deaths', deaths)
return {'ok', tostring(claim), now, deaths}
