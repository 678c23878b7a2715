-- Moves what is due back into the work stream. ARGV: 1 at most. Answers {moved, ms until the next one or -1}
local due = redis.call('ZRANGEBYSCORE', P .. 'later', '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(due) do
  redis.call('ZREM', P .. 'later', id)
  redis.call('XADD', P .. 'work', '*', 'i', id)
end
local next = redis.call('ZRANGE', P .. 'later', 0, 0, 'WITHSCORES')
return {#due, next[2] and math.max(0, N(next[2]) - now) or -1}
