#!lua
-- Drops the change stream's entries up to a revision and records it: a watch from below it must relist.
--
-- KEYS  1 meta, 2 changes
-- ARGV  1 the newest revision to drop
-- Returns  the compacted revision of the store now (it never goes back)

local meta, changes = KEYS[1], KEYS[2]
local compacted = tonumber(redis.call('HGET', meta, 'compacted') or '0')
local upto = tonumber(ARGV[1])
if upto <= compacted then return string.format('%d', compacted) end
redis.call('HSET', meta, 'compacted', string.format('%d', upto))
redis.call('XTRIM', changes, 'MINID', string.format('%d-0', upto + 1))
return string.format('%d', upto)
