-- The last step before Docker is called: the intent is written, or nothing happens.
-- ARGV: 1 incident, 2 claim, 3 doc, 4 entry, 5 lease ms, 6 limits json as in acquire.lua, 7 token
-- Answers {'lost'}, {'ok', now} or {'denied', ...} as acquire.lua does
if not held(ARGV[1], ARGV[2]) then return {'lost'} end
local L, token = cjson.decode(ARGV[6]), ARGV[7]
local lock = redis.call('HMGET', P .. 'lock:' .. L.target, 'incident', 'token')
if lock[1] ~= ARGV[1] or lock[2] ~= token then return {'lost'} end
local refusal = unreliable()
if refusal then return refusal end
local till = paused()
if till then return {'denied', 'paused', till, ''} end
-- Between the grant and this Docker may have been away, or nobody at work, for longer than a window: others were granted
-- what this one had left in it. A reload may have lowered a limit, more have fallen sick, the repair before have relapsed.
refusal = too_many_sick(L, true) or broken(L) or used_up(L, token)
if refusal then return refusal end
-- Cooldown and caps count from here, for the same reason.
for _, window in ipairs({target_window(L), host_window(L), fleet_window()}) do
  redis.call('ZADD', window, 'XX', now, token)
end
redis.call('SET', P .. 'clock', now)
write(ARGV[1], ARGV[3], '', 'acting', ARGV[5])
tell(ARGV[1], ARGV[4])
return {'ok', now}
