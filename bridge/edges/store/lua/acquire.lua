-- Cooldown, caps, breaker, single flight and the container's age: checked and reserved in one step.
-- ARGV: 1 incident, 2 claim ('' for a dry run: every check, no write), 3 doc, 4 entry, 5 lease ms, 6 limits json:
--   {target, also:[targets under whose names its budget may stand, too], host, cooldown, caps:[{max,per}],
--   host_cap:{max,per}, fleet_cap:{max,per}, age (-1 unknown), trust_empty, known (time of the last grant that the caller was given,
--   0 none), shares:[populations as in shares.lua]}
-- all times in ms. Answers {'lost'}, {'granted', token, when at the latest} or {'denied', reason, until ms (0 unknown), detail}; where
-- too many are sick at once, followed by the population as shares.lua answers it
local id, dry = ARGV[1], ARGV[2] == ''
local L = cjson.decode(ARGV[6])
if not dry and not held(id, ARGV[2]) then return {'lost'} end
local lock = P .. 'lock:' .. L.target

local holder = redis.call('HMGET', lock, 'incident', 'token')
if holder[1] == id and not dry then
  -- The answer to an earlier call was lost: the same grant again (and a write, so that WAIT has something to wait for).
  write(id, ARGV[3], '', 'reserved', ARGV[5])
  return {'granted', holder[2], N(redis.call('GET', P .. 'clock') or '0')}
end

local refusal = unreliable()
if refusal then return refusal end
local till = paused()
if till then return {'denied', 'paused', till, ''} end
for _, name in ipairs(names_of(L)) do
  local other = redis.call('HGET', P .. 'lock:' .. name, 'incident')
  if other and other ~= id then return {'denied', 'target_busy', 0, other} end
end

-- The targets of all open incidents count, whichever of them comes here first; this one surely.
if not dry then
  local set, name = sick_target(L.target)
  local other, alias = sick_subject(redis.call('HGET', incident_key(id), 'subject_key') or '')
  if other and alias ~= name then redis.call('ZREM', other, alias) end
  redis.call('ZADD', set, '+inf', name)
  redis.call('HSET', incident_key(id), 'target', L.target)
end
refusal = too_many_sick(L, not dry) or broken(L)
if refusal then return refusal end

-- The container itself is the second record: while this store may have lost grants, a container younger than its
-- cooldown may be one that we restarted.
local born = redis.call('GET', P .. 'born')
if L.known > N(redis.call('GET', P .. 'clock') or '0') then
  -- The caller was given a grant that this store never saw: a failover lost it, and nobody knows what else.
  born = now
  if not dry then
    redis.call('SET', P .. 'born', born)
    redis.call('SET', P .. 'clock', L.known)
  end
elseif not born then
  born = L.trust_empty and 0 or now
  if not dry then
    redis.call('SET', P .. 'born', born)
    if born > 0 then redis.call('SET', P .. 'born_empty', born) end
  end
end
local trusted_at = N(born) + L.cooldown
if N(born) > 0 and now < trusted_at and L.age < L.cooldown then
  local free = trusted_at
  if L.age >= 0 then free = math.min(free, now + L.cooldown - L.age) end
  return {'denied', 'recently_started', free, L.age >= 0 and string.format('started %d s ago', L.age / 1000) or ''}
end

refusal = used_up(L)
if refusal then return refusal end

if dry then return {'granted', '0', now} end

local token = redis.call('INCR', P .. 'fence')
redis.call('SET', P .. 'clock', now)
redis.call('HSET', lock, 'incident', id, 'token', token)
local longest = L.cooldown
for _, cap in ipairs(L.caps) do longest = math.max(longest, cap.per) end
local function count(window, keep)
  redis.call('ZREMRANGEBYSCORE', window, '-inf', now - 2 * keep)
  redis.call('ZADD', window, now, token)
  redis.call('PEXPIRE', window, 2 * keep + 60000)
end
-- The windows keep twice what the present limits need, so that a longer limit set by a reload still sees them.
count(target_window(L), math.max(longest, 86400000))
count(host_window(L), math.max(L.host_cap.per, 86400000))
count(fleet_window(), math.max(L.fleet_cap.per, 86400000))
redis.call('HSET', incident_key(id), 'token', token, 'target', L.target, 'host', L.host)
write(id, ARGV[3], '', 'reserved', ARGV[5])
tell(id, ARGV[4])
return {'granted', tostring(token), now}
