-- Takes what is due for a sink, under a lease. An incident that is being told is not given a second time before that is
-- over; a transition meanwhile puts it on the backlog again.
-- ARGV: 1 sink, 2 teller (unique per call), 3 lease ms, 4 at most, 5 ms between two (0: as they come), 6 how many may
--   come at once before that counts
-- Answers {ms until the next may be due (-1: none waits), incident...}
local sink, most = ARGV[1], N(ARGV[4])
local due, leased, state = P .. 'due:' .. sink, P .. 'leased:' .. sink, P .. 'sink:' .. sink
for _, id in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, 100)) do -- whoever told it went silent
  redis.call('ZREM', leased, id)
  redis.call('ZADD', due, 'LT', now, id)
end
local told_now = redis.call('ZCARD', leased)
local s = redis.call('HMGET', state, 'held_until', 'pace')
if s[1] then
  if N(s[1]) > now then return {N(s[1]) - now} end
  -- After it was held back one goes first, to see whether it takes messages again.
  most = told_now == 0 and math.min(most, 1) or 0
end

-- As many as the pace leaves room for (GCRA: `pace` is the instant at which all room would be free again).
local interval, pace = N(ARGV[5]), math.max(N(s[2] or '0'), now)
local horizon = now + interval * (N(ARGV[6]) - 1)
local out = {-1}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, most + told_now)) do
  if #out - 1 >= most then break end
  if not redis.call('ZSCORE', leased, id) then
    if pace > horizon then
      out[1] = math.ceil(pace - horizon)
      break
    end
    pace = pace + interval
    redis.call('ZREM', due, id)
    redis.call('ZADD', leased, now + N(ARGV[3]), id)
    redis.call('HSET', P .. 'teller:' .. sink, id, ARGV[2])
    out[#out + 1] = id
  end
end
if interval > 0 and #out > 1 then redis.call('HSET', state, 'pace', pace, 'interval', interval) end
if out[1] < 0 then
  local next = redis.call('ZRANGEBYSCORE', due, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if next[2] then out[1] = N(next[2]) - now end
end
return out
