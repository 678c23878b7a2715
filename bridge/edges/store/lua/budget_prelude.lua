-- Shared by the scripts that grant an action and that begin it. `L` are the limits as acquire.lua has them; `own` is the
-- token of a grant that asks once more, and does not stand in its own way.

-- Whether this server may be relied on at all. Asked here, not before: between two calls a failover may put another one in
-- the place of the one that was asked.
local function unreliable()
  local policy = redis.pcall('INFO', 'memory')
  policy = type(policy) == 'string' and string.match(policy, 'maxmemory_policy:([%w-]+)') or 'noeviction'
  if policy ~= 'noeviction' then return {'denied', 'store_unsafe', 0, 'maxmemory-policy ' .. policy} end
  if behind > CLOCK_LEAP_MS then
    return {'denied', 'clock_skew', now + behind - CLOCK_LEAP_MS, 'the server clock is behind by ' .. behind .. ' ms'}
  end
end

-- All names under which something may stand that was granted, locked or broken: the target's comes first.
local function names_of(L) return {L.target, unpack(L.also)} end

local function broken(L)
  for _, name in ipairs(names_of(L)) do
    local breaker = redis.call('HMGET', P .. 'breaker:' .. name, 'until', 'fails')
    if N(breaker[1] or '0') > now then return {'denied', 'breaker_open', N(breaker[1]), breaker[2] or ''} end
  end
end

-- Where too many are sick: the refusal, followed by the population as shares.lua answers it.
local function too_many_sick(L, noted)
  for _, population in ipairs(L.shares) do
    local share = share_of(population)
    if noted then note_share(population, share) end
    if share.over or share.since > 0 then
      return {'denied', population.reason, share.free, '', population.key, share.sick, share.known, share.since, share.free}
    end
  end
end

-- When the grants of some windows were given that are newer than `since`, oldest first.
local function granted(windows, since, own)
  local times = {}
  for _, window in ipairs(windows) do
    local grants = redis.call('ZRANGEBYSCORE', window, since, '+inf', 'WITHSCORES')
    for n = 1, #grants, 2 do
      if grants[n] ~= own then times[#times + 1] = N(grants[n + 1]) end
    end
  end
  table.sort(times)
  return times
end

-- Free again when the oldest of the newest `max` grants leaves the windows.
local function full(windows, cap, reason, own)
  local times = granted(windows, '(' .. (now - cap.per), own)
  if #times < cap.max then return nil end
  local free = cap.max > 0 and times[#times - cap.max + 1] + cap.per or 0
  return {'denied', reason, free, cap.max .. ' per ' .. math.floor(cap.per / 1000) .. 's'}
end

local function target_window(L) return P .. 'window:target:' .. L.target end
local function host_window(L) return P .. 'window:host:' .. L.host end
local function fleet_window() return P .. 'window:fleet' end

-- What cooldown and caps say against one more action; nil: nothing.
local function used_up(L, own)
  local ours = {}
  for n, name in ipairs(names_of(L)) do ours[n] = P .. 'window:target:' .. name end
  local times = granted(ours, '(' .. (now - L.cooldown), own)
  if #times > 0 then return {'denied', 'cooldown', times[#times] + L.cooldown, ''} end
  for _, cap in ipairs(L.caps) do
    local refusal = full(ours, cap, 'target_cap', own)
    if refusal then return refusal end
  end
  return full({host_window(L)}, L.host_cap, 'host_cap', own) or full({fleet_window()}, L.fleet_cap, 'fleet_cap', own)
end
