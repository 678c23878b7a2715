-- The end of an incident: record, target freed, breaker fed, grant refunded if nothing was begun.
-- ARGV: 1 incident, 2 claim, 3 doc, 4 evidence or '', 5 entry, 6 lease ms, 7 outcome, 8 reconsider ms, 9 target or '',
--   10 'healed'|'sick'|'' (breaker), 11 breaker failures, 12 breaker open ms, 13 '1' if something was done, 14 '1' to refund,
--   15 joins known to the worker ('' to close whatever joined), 16 audit or '',
--   17 of one that the pause refused: ms from which to reconsider it once no pause holds, else ''
-- Answers {'lost'}, {'joined'} or {'ok', now}
local id, target = ARGV[1], ARGV[9]
if not held(id, ARGV[2]) then return {'lost'} end
local key = incident_key(id)
local was = redis.call('HMGET', key, 'state', 'outcome', 'subject_key', 'token', 'host', 'fed', 'joins', 'opened')
-- An alert that joined after the worker looked must be looked at, not closed along with the others.
if was[1] ~= 'closed' and ARGV[15] ~= '' and (was[7] or '0') ~= ARGV[15] then return {'joined'} end
write(id, ARGV[3], ARGV[4], 'closed', ARGV[6], ARGV[16])
redis.call('HSET', key, 'outcome', ARGV[7], 'reconsider', ARGV[8])
if ARGV[17] ~= '' then redis.call('HSET', key, 'reconsider_unpaused', ARGV[17]) end
if was[1] ~= 'closed' then
  redis.call('HSET', key, 'closed', now)
  redis.call('ZADD', P .. 'closed', now, id)
  local since = redis.call('HGET', P .. 'storm', 'since')
  if since and was[8] and N(was[8]) >= N(since) then redis.call('HINCRBY', P .. 'storm', 'closed:' .. ARGV[7], 1) end
end
-- Well again, or sick for some time yet: until its alert has ended, but without that no longer than SICK_KEPT_MS.
local well = ARGV[7] == 'healed' or ARGV[7] == 'resolved' or ARGV[7] == 'no_action'
local set, name = sick_subject(was[3] or '')
if was[1] ~= 'closed' and set then redis.call('ZREM', set, name) end
if target ~= '' then
  set, name = sick_target(target)
  if was[1] ~= 'closed' and well then redis.call('ZREM', set, name)
  elseif was[1] ~= 'closed' then redis.call('ZADD', set, now + SICK_KEPT_MS, name)
  elseif not well then redis.call('ZADD', set, 'GT', now + SICK_KEPT_MS, name) end
end
if was[3] and redis.call('HGET', P .. 'open', was[3]) == id then redis.call('HDEL', P .. 'open', was[3]) end
if target ~= '' then
  if redis.call('HGET', P .. 'lock:' .. target, 'incident') == id then redis.call('DEL', P .. 'lock:' .. target) end
  if ARGV[14] == '1' and was[4] then
    redis.call('ZREM', P .. 'window:target:' .. target, was[4])
    redis.call('ZREM', P .. 'window:host:' .. (was[5] or ''), was[4])
    redis.call('ZREM', P .. 'window:fleet', was[4])
  end
  if ARGV[13] == '1' and was[1] ~= 'closed' then
    redis.call('LPUSH', P .. 'repairs:' .. target, id)
    redis.call('LTRIM', P .. 'repairs:' .. target, 0, 49)
  end
  -- Each outcome feeds the breaker once, however often a call whose answer was lost is repeated.
  local breaker, fed = P .. 'breaker:' .. target, ARGV[7] .. ARGV[10]
  if ARGV[10] ~= '' and was[6] ~= fed then
    redis.call('HSET', key, 'fed', fed)
    if ARGV[10] == 'healed' then redis.call('DEL', breaker)
    else
      local fails = redis.call('HINCRBY', breaker, 'fails', 1)
      if fails >= N(ARGV[11]) then
        local trip = redis.call('HINCRBY', breaker, 'trips', 1)
        redis.call('HSET', breaker, 'until', now + N(ARGV[12]) * math.min(16, 2 ^ (trip - 1)), 'fails', N(ARGV[11]) - 1)
      end
    end
  end
end
tell(id, ARGV[5])
return {'ok', now}
