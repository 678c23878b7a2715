-- What a restored store must know before anything is written into it: nobody acts until a person resumes, no token is
-- ever given twice, and containers younger than their cooldown may be restarts that the backup has not heard of.
-- ARGV: 1 why it is paused, 2 the backup's last token, 3 its clock in ms, 4 tokens to skip. Answers {fence, now}
local fence = math.max(N(redis.call('GET', P .. 'fence') or '0'), N(ARGV[2])) + N(ARGV[4])
redis.call('SET', P .. 'fence', string.format('%d', fence))
local clock_at = math.max(N(redis.call('GET', P .. 'clock') or '0'), N(ARGV[3]))
if clock_at > 0 then redis.call('SET', P .. 'clock', string.format('%d', clock_at)) end
redis.call('SET', P .. 'born', string.format('%d', math.max(now, clock_at)))
redis.call('HSET', P .. 'pause', 'by', 'restore', 'why', ARGV[1], 'since', string.format('%d', now), 'until', '')
return {string.format('%d', fence), string.format('%d', now)}
