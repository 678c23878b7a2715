-- The last step before Docker is called: the intent is written, or nothing happens.
-- ARGV: 1 incident, 2 claim, 3 doc, 4 entry, 5 lease ms, 6 target, 7 token
-- Answers {'lost'}, {'ok', now} or {'denied', 'paused', until ms}
if not held(ARGV[1], ARGV[2]) then return {'lost'} end
local lock = redis.call('HMGET', P .. 'lock:' .. ARGV[6], 'incident', 'token')
if lock[1] ~= ARGV[1] or lock[2] ~= ARGV[7] then return {'lost'} end
local till = paused()
if till then return {'denied', 'paused', till} end
-- Cooldown and caps count from here: between the grant and this Docker may have been away for as long as either lasts.
local host = redis.call('HGET', incident_key(ARGV[1]), 'host') or ''
for _, window in ipairs({'target:' .. ARGV[6], 'host:' .. host, 'fleet'}) do
  redis.call('ZADD', P .. 'window:' .. window, 'XX', now, ARGV[7])
end
redis.call('SET', P .. 'clock', now)
write(ARGV[1], ARGV[3], '', 'acting', ARGV[5])
tell(ARGV[1], ARGV[4])
return {'ok', now}
