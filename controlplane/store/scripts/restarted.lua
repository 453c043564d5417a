#!lua
-- For a store without fsync (leases): after a restart of Redis the newest writes may be lost. Lifts the revision above
-- everything that was ever handed out and ends the stream there, so that no number means two things and older watches relist.
--
-- KEYS  1 meta, 2 changes
-- ARGV  1 the server's run id, 2 a revision above every one that was handed out, 3 cluster id
-- Returns  the revision of the store now

local meta, changes = KEYS[1], KEYS[2]
local revision = redis.call('HGET', meta, 'revision') or '0'
if redis.call('HGET', meta, 'run_id') == ARGV[1] and redis.call('HGET', meta, 'cluster_id') == ARGV[3] then
  return revision
end
if tonumber(ARGV[2]) > tonumber(revision) then revision = ARGV[2] end
redis.call('DEL', changes)
redis.call('HSET', meta, 'run_id', ARGV[1], 'cluster_id', ARGV[3], 'revision', revision, 'compacted', revision)
return revision
