-- What the model costs: set aside before it is asked, corrected when the bill is known.
-- ARGV: 1 'reserve' or 'settle', 2 reservation (unique, so that a repeated call is recognised), 3 tokens, 4 micro-USD;
--   to reserve also the limits, '' for none: 5 tokens and 6 micro-USD in an hour, 7 tokens and 8 micro-USD in a day
-- Answers {'ok'}, {'over', limit} or {'gone'} (settled already, or too long ago)
local reservation, tokens, micros = P .. 'reserved:' .. ARGV[2], N(ARGV[3]), N(ARGV[4])
local HOUR_MS = 3600000

local function bucket(unit, number) return P .. 'spent:' .. unit .. ':' .. string.format('%d', number) end

local function add(minute, hour, more_tokens, more_micros)
  -- A bucket outlives every reservation that may still correct it.
  for key, kept in pairs({[bucket('minute', minute)] = 3 * HOUR_MS, [bucket('hour', hour)] = 50 * HOUR_MS}) do
    redis.call('HINCRBY', key, 'tokens', more_tokens)
    redis.call('HINCRBY', key, 'micros', more_micros)
    redis.call('PEXPIRE', key, kept)
  end
end

if ARGV[1] == 'settle' then
  local was = redis.call('HMGET', reservation, 'minute', 'hour', 'tokens', 'micros')
  if not was[1] then return {'gone'} end
  redis.call('DEL', reservation)
  add(N(was[1]), N(was[2]), tokens - N(was[3]), micros - N(was[4]))
  return {'ok'}
end

if redis.call('EXISTS', reservation) == 1 then return {'ok'} end

local function over(unit, last, count, token_limit, micro_limit)
  local all_tokens, all_micros = tokens, micros
  for number = last - count + 1, last do
    local spent = redis.call('HMGET', bucket(unit, number), 'tokens', 'micros')
    all_tokens, all_micros = all_tokens + N(spent[1] or '0'), all_micros + N(spent[2] or '0')
  end
  if token_limit ~= '' and all_tokens > N(token_limit) then return 'tokens_per_' end
  if micro_limit ~= '' and all_micros > N(micro_limit) then return 'usd_per_' end
end

-- One bucket more than the window has, so that it is never shorter than it says.
local minute, hour = math.floor(now / 60000), math.floor(now / HOUR_MS)
local limit = over('minute', minute, 61, ARGV[5], ARGV[6])
if limit then return {'over', limit .. 'hour'} end
limit = over('hour', hour, 25, ARGV[7], ARGV[8])
if limit then return {'over', limit .. 'day'} end
add(minute, hour, tokens, micros)
redis.call('HSET', reservation, 'minute', minute, 'hour', hour, 'tokens', tokens, 'micros', micros)
redis.call('PEXPIRE', reservation, HOUR_MS)
return {'ok'}
