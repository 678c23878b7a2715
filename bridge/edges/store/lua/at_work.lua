-- Milliseconds since a bridge was last seen to ask for work, -1 if none ever was. It asks every second.
local least = -1
local groups = redis.pcall('XINFO', 'GROUPS', P .. 'work')
if groups.err then return least end
for _, group in ipairs(groups) do
  for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', P .. 'work', group[2])) do
    for n = 1, #flat, 2 do
      if flat[n] == 'idle' and (least < 0 or flat[n + 1] < least) then least = flat[n + 1] end
    end
  end
end
return least
