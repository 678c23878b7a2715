-- One or more whole webhooks: every alert of them is written here or none is.
-- ARGV: 1 backlog limit, 2 episode seen granularity ms, 3 and 4 a storm: more incidents opened than this in so many ms,
-- then 8 per alert:
--   fingerprint, 'firing'|'resolved', starts ms, ends ms (0 none), alert json, subject key, subject json, fresh incident id
-- Answers {'overloaded'} or one incident id per alert ('' where a resolved concerns nothing known).
-- A storm opens incidents by the thousand, so each command counts here: what goes into one key goes there at once at
-- the end, times are given as text (Redis formats a number slowly), an episode is one string.
local STRIDE, FIRST = 8, 5
if redis.call('XLEN', P .. 'work') >= N(ARGV[1]) then return {'overloaded'} end

-- By how much the clock of those who tell of alerts is ahead of ours, as far as they were compared.
local AHEAD = N(redis.call('HGET', P .. 'heard', 'ahead') or '0')
local NOW = string.format('%d', now)
local OPENED = AT .. '"event":"opened","fields":{}}'

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

-- Whether only what may be a stale firing speaks for it, and since when: its resolved is waited for from then on.
local function suspects(id, suspect)
  redis.call('HSET', incident_key(id), 'suspect', suspect)
  if suspect == '1' then redis.call('HSET', incident_key(id), 'suspected', NOW) end
end

local opened, open_index, by_time, news, sick = {}, {}, {}, {}, {}

-- Opens an incident for this subject, or gives the one that is open already.
local function open(fp, alert, subject, subject_json, fresh, suspect)
  local id = opened[subject] or redis.call('HGET', P .. 'open', subject)
  if not id then
    local key = incident_key(fresh)
    redis.call('HSET', key, 'subject', subject_json, 'subject_key', subject, 'state', 'open', 'opened', NOW, 'joins', '1')
    if suspect == '1' then suspects(fresh, suspect) end
    redis.call('HSET', key .. ':alerts', fp, 'F' .. alert)
    redis.call('XADD', P .. 'work', '*', 'i', fresh)
    audit(fresh, OPENED) -- its story begins with 'opened' by itself: readers make that line from the field
    opened[subject] = fresh
    open_index[#open_index + 1], open_index[#open_index + 2] = subject, fresh
    by_time[#by_time + 1], by_time[#by_time + 2] = NOW, fresh
    local set, name = sick_subject(subject)
    if set then
      local marks = sick[set] or {}
      marks[#marks + 1], marks[#marks + 2], sick[set] = '+inf', name, marks
    end
    news[#news + 1] = fresh
    return fresh
  end
  if not opened[subject] then news[#news + 1] = id end
  if suspect == '0' or not anything_fires(id) then suspects(id, suspect) end
  join(id, fp, 'F', alert)
  return id
end

-- An episode: 'firing'|'resolved', when it started, when it last ended (0 never), its incident ('-' none), when it was
-- last heard of, and when it began to fire in the last hour (newest first, at most MOST_FIRES).
local MOST_FIRES, HOUR_MS = 20, 3600000

local function read(key)
  local text = redis.call('GET', key)
  if not text then return nil end
  local state, starts, ends, id, seen, fired = string.match(text, '^(%a+) (%d+) (%d+) (%S+) (%d+) ?([%d,]*)$')
  return {state = state, starts = starts, ends = ends, id = id, seen = seen, fired = fired}
end

local function keep(key, state, starts, ends, id, fired)
  redis.call('SET', key, table.concat({state, starts, ends, id, NOW, fired}, ' '), 'PX', EPISODE_KEPT_MS)
end

local function fired_now(before)
  if before == '' then return NOW end
  local times = {NOW}
  for at in string.gmatch(before, '%d+') do
    if #times < MOST_FIRES and now - N(at) <= HOUR_MS then times[#times + 1] = at end
  end
  return table.concat(times, ',')
end

local out = {}
for a = FIRST, #ARGV, STRIDE do
  local fp, status, starts, ends = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
  local alert, subject, subject_json, fresh = ARGV[a + 4], ARGV[a + 5], ARGV[a + 6], ARGV[a + 7]
  local key = P .. 'episode:' .. fp
  local e = read(key)
  local fires = e and e.state == 'firing'
  local id = ''
  if status == 'firing' and fires then
    -- The same episode, whatever its startsAt: it moves in both directions in practice.
    id = e.id
    local i = redis.call('HMGET', incident_key(id), 'state', 'reconsider', 'closed', 'reconsider_unpaused', 'suspect')
    local again = not i[1] or (i[1] == 'closed' and (now >= N(i[2] or '0')
      -- A start that we have seen is none, however far in our future it lies.
      or (N(starts) > N(e.starts) and N(starts) - AHEAD > N(i[3] or '0'))
      or (i[4] and now >= N(i[4]) and not paused())))
    if again then
      id = open(fp, alert, subject, subject_json, fresh, '0')
      keep(key, 'firing', starts, e.ends, id, e.fired)
    elseif now - N(e.seen) > N(ARGV[2]) or starts ~= e.starts then
      -- A plain re-send is already durable: writing it again each time would only cost an fsync.
      keep(key, 'firing', starts, e.ends, id, e.fired)
      if i[1] ~= 'closed' then join(id, fp, 'F', alert) end
      if i[1] ~= 'closed' and i[5] == '1' and N(starts) >= N(e.ends) then -- what is told now is no stale one
        suspects(id, '0')
        wake(id)
      end
    end
  elseif status == 'firing' then
    -- A firing that began before the last resolved ended is either stale (a slow replica) or true (a twin): suspect.
    local suspect = '0'
    if e and N(starts) < N(e.ends) then suspect = '1' end
    id = open(fp, alert, subject, subject_json, fresh, suspect)
    keep(key, 'firing', starts, e and e.ends or '0', id, fired_now(e and e.fired or ''))
  else
    local late = fires and N(ends) > 0 and N(ends) < N(e.starts)
    if not late then
      if e and N(e.ends) > N(ends) then ends = e.ends end
      keep(key, 'resolved', e and e.starts or starts, ends, e and e.id or '-', e and e.fired or '')
      if fires then
        id = e.id
        local i = redis.call('HMGET', incident_key(id), 'state', 'target')
        if not i[1] or i[1] == 'closed' then -- or swept: nothing may be written under it again
          local set, name = sick_subject(subject)
          if set then redis.call('ZREM', set, name) end
          if i[2] then redis.call('ZREM', sick_target(i[2])) end
        else
          join(id, fp, 'R', alert)
          note(id, '{"event":"alert_resolved","fields":{}}')
          wake(id)
        end
      end
    end
  end
  out[#out + 1] = id
end
in_pieces('HSET', P .. 'open', open_index)
in_pieces('ZADD', P .. 'incidents', by_time)
for set, marks in pairs(sick) do in_pieces('ZADD', set, marks) end
mark(news)

-- A storm begins with one incident too many in the window, and lasts until there have been fewer than half as many for
-- as long as the window again. Told once, however many incidents it has.
local function weather(fresh, most, per)
  end_storm()
  local key, index = P .. 'storm', P .. 'incidents'
  if redis.call('EXISTS', key) == 1 then redis.call('HINCRBY', key, 'incidents', fresh)
  else
    local first = redis.call('ZREVRANGE', index, most, most, 'WITHSCORES')[2]
    if not first or N(first) <= now - per then return end
    local ids = redis.call('ZRANGEBYSCORE', index, first, '+inf')
    local count = #ids
    redis.call('HSET', key, 'since', first, 'incidents', count, 'scope', 'fleet')
    for _, id in ipairs(ids) do
      local i = redis.call('HMGET', incident_key(id), 'state', 'outcome')
      if i[1] == 'closed' then redis.call('HINCRBY', key, 'closed:' .. i[2], 1) end
    end
    audit('', string.format('%s"event":"storm_began","fields":{"since":"%s","incidents":"%d","scope":"fleet"}}', AT, first, count))
  end
  local half = math.ceil(most / 2) - 1
  local newest = redis.call('ZREVRANGE', index, half, half, 'WITHSCORES')[2]
  -- A limit that was raised meanwhile may ask for more incidents than there are.
  if newest then redis.call('HSET', key, 'until', string.format('%d', N(newest) + 2 * per)) end
end
if #by_time > 0 then weather(#by_time / 2, N(ARGV[3]), N(ARGV[4])) end
return out
