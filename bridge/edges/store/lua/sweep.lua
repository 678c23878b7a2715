-- Takes over messages whose worker went silent, only as many as there are free slots.
-- ARGV: 1 group, 2 consumer, 3 idle ms, 4 count. Answers pairs message id, incident.
local out = {}
local pending = redis.call('XPENDING', P .. 'work', ARGV[1], 'IDLE', ARGV[3], '-', '+', ARGV[4])
for _, p in ipairs(pending) do
  local got = redis.call('XCLAIM', P .. 'work', ARGV[1], ARGV[2], ARGV[3], p[1])
  -- An entry that was deleted stays pending for ever unless somebody acknowledges it.
  if #got == 0 or not got[1] then redis.call('XACK', P .. 'work', ARGV[1], p[1])
  else
    out[#out + 1] = p[1]
    out[#out + 1] = got[1][2][2]
  end
end
return out
