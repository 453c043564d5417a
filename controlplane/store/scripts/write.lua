#!lua
-- One write of one object: compare, then set, then tell the change stream.
--
-- Redis doesn't roll a script back, so everything is checked before the first write. The new revision becomes the
-- id of the stream's entry; XADD comes first among the writes, since it alone could still fail (an id that doesn't grow).
--
-- KEYS  1 meta     hash: cluster_id, revision, compacted, run_id
--       2 objects  hash: key text -> "<revision> <JSON>"
--       3 changes  stream: <revision>-0 -> key, before, after, at_ms, write
--       4 claims   hash: "<table>/<item>" -> key text of the holder
--       5 held     hash: key text -> its claims, one a line
--       6 terms    hash: name -> the term of the present leader
-- ARGV  1 cluster id that the writer knows ("" asks for no check)
--       2 key text
--       3 expected revision: "0" the key must not exist, "*" it must exist, else exactly this revision
--       4, 5 the JSON before and after the place where the new revision goes; both empty: delete
--       6 id of this write, by which a writer whose connection broke finds out whether it happened
--       7, 8 name and value of the leader's term ("" asks for no check)
--       9 "set": the claims that follow replace those held; "keep": they stay
--       10… claims, "<table>/<item>"
-- Returns  {"ok", revision, JSON before} (the JSON only for a delete)
--          {"stranger", cluster id found}  {"stale", the present term}  {"exists", revision}  {"missing"}
--          {"conflict", revision}  {"claimed", claim, key text of the holder}

local meta, objects, changes, claims, held, terms = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local key, expected = ARGV[2], ARGV[3]
local deleting = ARGV[4] == '' and ARGV[5] == ''

-- check

local cluster = redis.call('HGET', meta, 'cluster_id') or ''
if ARGV[1] ~= '' and ARGV[1] ~= cluster then return {'stranger', cluster} end

if ARGV[7] ~= '' then
  local term = redis.call('HGET', terms, ARGV[7]) or '0'
  if term ~= ARGV[8] then return {'stale', term} end
end

local current = redis.call('HGET', objects, key)
local revision, before = '0', ''
if current then
  local cut = string.find(current, ' ', 1, true)
  revision, before = string.sub(current, 1, cut - 1), string.sub(current, cut + 1)
end
if expected == '0' then
  if current then return {'exists', revision} end
elseif not current then
  return {'missing'}
elseif expected ~= '*' and expected ~= revision then
  return {'conflict', revision}
end

local wanted = {}
if not deleting and ARGV[9] == 'set' then
  for i = 10, #ARGV do
    local holder = redis.call('HGET', claims, ARGV[i])
    if holder and holder ~= key then return {'claimed', ARGV[i], holder} end
    wanted[#wanted + 1] = ARGV[i]
  end
end

-- write

local new = string.format('%d', tonumber(redis.call('HGET', meta, 'revision') or '0') + 1)
local after = ''
if not deleting then after = ARGV[4] .. new .. ARGV[5] end
local time = redis.call('TIME')
local at_ms = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))

redis.call('XADD', changes, new .. '-0', 'key', key, 'before', before, 'after', after, 'at_ms', at_ms, 'write', ARGV[6])
redis.call('HSET', meta, 'revision', new)
if deleting then
  redis.call('HDEL', objects, key)
else
  redis.call('HSET', objects, key, new .. ' ' .. after)
end

if deleting or ARGV[9] == 'set' then
  for claim in string.gmatch(redis.call('HGET', held, key) or '', '[^\n]+') do
    redis.call('HDEL', claims, claim)
  end
  if #wanted > 0 then
    for _, claim in ipairs(wanted) do redis.call('HSET', claims, claim, key) end
    redis.call('HSET', held, key, table.concat(wanted, '\n'))
  else
    redis.call('HDEL', held, key)
  end
end

if deleting then return {'ok', new, before} end
return {'ok', new}
