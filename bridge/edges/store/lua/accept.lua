-- One or more whole webhooks: every alert of them is written here or none is.
-- ARGV: 1 backlog limit, 2 episode seen granularity ms, then 8 per alert:
--   fingerprint, 'firing'|'resolved', starts ms, ends ms (0 none), alert json, subject key, subject json, fresh incident id
-- Answers {'overloaded'} or one incident id per alert ('' where a resolved concerns nothing known).
local STRIDE, FIRST = 8, 3
if redis.call('XLEN', P .. 'work') >= N(ARGV[1]) then return {'overloaded'} end

-- 'joins' lets a worker see, in the very script that closes an incident, that an alert joined after it looked.
local function join(id, fp, mark, alert)
  redis.call('HSET', incident_key(id) .. ':alerts', fp, mark .. alert)
  if mark == 'F' then redis.call('HINCRBY', incident_key(id), 'joins', 1) end
end

local function anything_fires(id)
  for _, alert in ipairs(redis.call('HVALS', incident_key(id) .. ':alerts')) do
    if string.sub(alert, 1, 1) == 'F' then return true end
  end
  return false
end

-- Opens an incident for this subject, or gives the one that is open already.
local function open(fp, alert, subject, subject_json, fresh, suspect)
  local id = redis.call('HGET', P .. 'open', subject)
  if not id then
    id = fresh
    redis.call('HSET', incident_key(id), 'subject', subject_json, 'subject_key', subject, 'state', 'open',
      'opened', now, 'suspect', suspect)
    redis.call('HSET', P .. 'open', subject, id)
    redis.call('ZADD', P .. 'incidents', now, id)
    redis.call('XADD', P .. 'work', '*', 'i', id)
    tell(id, '{"event":"opened","fields":{}}')
  elseif suspect == '0' or not anything_fires(id) then
    redis.call('HSET', incident_key(id), 'suspect', suspect)
  end
  join(id, fp, 'F', alert)
  return id
end

local out = {}
for a = FIRST, #ARGV, STRIDE do
  local fp, status, starts, ends = ARGV[a], ARGV[a + 1], N(ARGV[a + 2]), N(ARGV[a + 3])
  local alert, subject, subject_json, fresh = ARGV[a + 4], ARGV[a + 5], ARGV[a + 6], ARGV[a + 7]
  local key = P .. 'episode:' .. fp
  local e = redis.call('HMGET', key, 'state', 'starts', 'ends', 'incident', 'seen')
  local id = ''
  if status == 'firing' and e[1] == 'firing' then
    -- The same episode, whatever its startsAt: it moves in both directions in practice.
    id = e[4]
    local i = redis.call('HMGET', incident_key(id), 'state', 'reconsider', 'closed')
    local again = not i[1] or (i[1] == 'closed' and (now >= N(i[2] or '0') or starts > N(i[3] or '0')))
    if again then
      id = open(fp, alert, subject, subject_json, fresh, '0')
      redis.call('HSET', key, 'incident', id, 'starts', starts, 'seen', now)
      redis.call('PEXPIRE', key, EPISODE_KEPT_MS)
    elseif now - N(e[5]) > N(ARGV[2]) or starts ~= N(e[2]) then
      -- A plain re-send is already durable: writing it again each time would only cost an fsync.
      redis.call('HSET', key, 'starts', starts, 'seen', now)
      redis.call('PEXPIRE', key, EPISODE_KEPT_MS)
      if i[1] ~= 'closed' then join(id, fp, 'F', alert) end
    end
  elseif status == 'firing' then
    -- A firing that began before the last resolved ended is either stale (a slow replica) or true (a twin): suspect.
    local suspect = '0'
    if e[3] and starts < N(e[3]) then suspect = '1' end
    id = open(fp, alert, subject, subject_json, fresh, suspect)
    redis.call('HSET', key, 'state', 'firing', 'starts', starts, 'incident', id, 'seen', now)
    redis.call('PEXPIRE', key, EPISODE_KEPT_MS)
  else
    local late = e[1] == 'firing' and ends > 0 and ends < N(e[2])
    if not late then
      redis.call('HSET', key, 'state', 'resolved', 'ends', math.max(ends, N(e[3] or '0')), 'seen', now)
      redis.call('PEXPIRE', key, EPISODE_KEPT_MS)
      if e[1] == 'firing' then
        id = e[4]
        if redis.call('HGET', incident_key(id), 'state') ~= 'closed' then
          join(id, fp, 'R', alert)
          tell(id, '{"event":"alert_resolved","fields":{}}')
          -- Whoever waits on this incident should look now, not at the end of its pause.
          if redis.call('ZSCORE', P .. 'later', id) then redis.call('ZADD', P .. 'later', now, id) end
        end
      end
    end
  end
  out[#out + 1] = id
end
return out
