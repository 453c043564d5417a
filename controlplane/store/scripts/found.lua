#!lua
-- Makes an empty Redis a store, once: gives it its cluster id.
--
-- KEYS  1 meta
-- ARGV  1 the new cluster id, 2 the server's run id, 3 the revision to begin at
-- Returns  the cluster id that the store has now (another writer may have been first), or "" if Redis holds
--          something that isn't a store of ours

local found = redis.call('HGET', KEYS[1], 'cluster_id')
if found then return found end
if redis.call('DBSIZE') > 0 then return '' end
redis.call('HSET', KEYS[1], 'cluster_id', ARGV[1], 'run_id', ARGV[2], 'revision', ARGV[3], 'compacted', ARGV[3])
return ARGV[1]
