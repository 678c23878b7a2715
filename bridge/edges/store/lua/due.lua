-- Moves what is due back into the work stream. ARGV: 1 at most, 2 group
-- Answers {moved, ms until the next one or -1, ms that the server's clock is behind}

-- Writes down how far time has come, for whichever server is asked next. All workers come by here all the time. A server
-- that takes no writes now answers all the same.
local TICK_MS, TICK_BEHIND_MS = 10000, 250
local own, last = now - behind, redis.call('GET', P .. 'tick')
local since = last and own - N(string.match(last, ' (%d+)$'))
if not since or since < 0 or since >= (behind > 0 and TICK_BEHIND_MS or TICK_MS) then
  redis.pcall('SET', P .. 'tick', string.format('%d %d', now, own))
end

-- The server's clock is behind the one it was: what lives by that clock alone would outlast its time by the difference.
-- Leases of messages begin anew, and whoever compares with Alertmanager may do so at once.
if since and since < 0 and redis.call('EXISTS', P .. 'work') == 1 then
  redis.pcall('DEL', P .. 'reconcile')
  for _, p in ipairs(redis.pcall('XPENDING', P .. 'work', ARGV[2], '-', '+', 10000)) do
    redis.pcall('XCLAIM', P .. 'work', ARGV[2], p[2], 0, p[1], 'IDLE', 0, 'JUSTID')
  end
end

local due = redis.call('ZRANGEBYSCORE', P .. 'later', '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(due) do
  redis.call('ZREM', P .. 'later', id)
  redis.call('XADD', P .. 'work', '*', 'i', id)
end
local next = redis.call('ZRANGE', P .. 'later', 0, 0, 'WITHSCORES')
return {#due, next[2] and math.max(0, N(next[2]) - now) or -1, behind}
