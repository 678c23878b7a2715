-- Shared by the scripts that ask whether too many are sick at once.
local WATCHED_EVERY_MS = 60000

-- Of one population: how many are sick, of how many; since when it is suspect and until when (both ms, 0: not, unknown).
local function share_of(L)
  local sick, known = 0, 0
  for _, part in ipairs(L.parts) do
    local set = P .. 'sick:' .. part.host
    local function count(names)
      local n = 0
      for first = 1, #names, 1000 do
        local scores = redis.call('ZMSCORE', set, unpack(names, first, math.min(first + 999, #names)))
        for _, until_ms in ipairs(scores) do
          if until_ms and N(until_ms) > now then n = n + 1 end
        end
      end
      return n
    end
    known = known + part.up + count(part.down)
    sick = sick + (part.members and count(part.members) or redis.call('ZCOUNT', set, '(' .. now, '+inf'))
  end
  known = math.max(known, sick) -- alerts may name what Docker does not know
  local text = redis.call('HGET', P .. 'shares', L.key) or ''
  local since, below, seen = string.match(text, '^(%d+) (%d+) (%d+) ')
  return {
    sick = sick, known = known, since = N(since or '0'), below = N(below or '0'), seen = N(seen or '0'),
    free = N(below or '0') > 0 and N(below) + L.quiet or 0,
    over = sick >= L.least and sick > L.limit * known,
    -- What is not known is not calm.
    calm = not L.partial and sick <= L.limit / 2 * known
  }
end

-- Entering is at once, leaving only after the share was seen at half the limit or below for a quiet time, watched all
-- the while. Answers 'began', 'ended' or ''.
local function note_share(L, share)
  if share.since == 0 and not share.over then return '' end
  local change = share.since == 0 and 'began' or ''
  if change == 'began' then share.since = now end
  if not share.calm then share.below = 0
  elseif share.below == 0 or now - share.seen > WATCHED_EVERY_MS then share.below = now
  elseif now - share.below >= L.quiet then change, share.since, share.below = 'ended', 0, 0 end
  share.free = share.below > 0 and share.below + L.quiet or 0
  if change == 'ended' then redis.call('HDEL', P .. 'shares', L.key)
  else
    local numbers = {share.since, share.below, now, share.sick, share.known}
    redis.call('HSET', P .. 'shares', L.key, string.format('%d %d %d %d %d', unpack(numbers)))
  end
  if change ~= '' then
    audit('', string.format('%s"event":"share_%s","fields":{"population":%s,"sick":"%d","known":"%d"}}',
      AT, change, cjson.encode(L.key), share.sick, share.known))
  end
  for _, part in ipairs(L.parts) do redis.call('ZREMRANGEBYSCORE', P .. 'sick:' .. part.host, '-inf', now) end
  return change
end

