-- Writes keys that `dump` read. ARGV: per piece of a key: name without the namespace, type, ms to live or -1, how many
-- elements of the key came before (0: the key is made anew), how many arguments follow, those.
-- Of a stream's entry: id, how many arguments follow, fields and values. Of a sorted set: member, score.
local writers = {
  string = function(key, first) redis.call('SET', key, ARGV[first]) end,
  hash = function(key, first, last) redis.call('HSET', key, unpack(ARGV, first, last)) end,
  list = function(key, first, last) redis.call('RPUSH', key, unpack(ARGV, first, last)) end,
  set = function(key, first, last) redis.call('SADD', key, unpack(ARGV, first, last)) end,
  zset = function(key, first, last)
    local pairs_of = {}
    for n = first, last, 2 do
      pairs_of[#pairs_of + 1], pairs_of[#pairs_of + 2] = ARGV[n + 1], ARGV[n]
    end
    redis.call('ZADD', key, unpack(pairs_of))
  end,
  stream = function(key, first, last)
    local n = first
    while n <= last do
      local fields = N(ARGV[n + 1])
      redis.call('XADD', key, ARGV[n], unpack(ARGV, n + 2, n + 1 + fields))
      n = n + 2 + fields
    end
  end,
}

local a, pieces = 1, 0
while a <= #ARGV do
  local key, kind, ttl, before, count = P .. ARGV[a], ARGV[a + 1], N(ARGV[a + 2]), ARGV[a + 3], N(ARGV[a + 4])
  if before == '0' then redis.call('DEL', key) end
  if count > 0 then
    writers[kind](key, a + 5, a + 4 + count)
    if ttl > 0 then redis.call('PEXPIRE', key, ttl) end
  end
  a, pieces = a + 5 + count, pieces + 1
end
return pieces
