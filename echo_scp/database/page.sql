-- What the status page asks. study.revision is that of the last finished run. An EF is compared as it is told.

-- name: page_studies
WITH matching AS (
    SELECT s.study_instance_uid, s.last_received_at
    FROM study s LEFT JOIN run r USING (study_instance_uid, revision)
    WHERE (%(state)s::text = '' OR s.state = %(state)s)
        AND (%(since)s::timestamptz IS NULL OR s.last_received_at >= %(since)s)
        AND (%(result)s::text = '' OR (%(result)s = 'measured') = (r.ef_percent IS NOT NULL))
        AND (%(ef_below)s::double precision IS NULL OR round(r.ef_percent::numeric, 1) < %(ef_below)s)
        AND (%(text)s::text = '' OR s.study_instance_uid = ANY (%(also)s)
            OR strpos(s.study_instance_uid, %(text)s) > 0 OR strpos(lower(r.reason), lower(%(text)s)) > 0
            OR EXISTS (SELECT FROM instance i WHERE i.study_instance_uid = s.study_instance_uid
                AND strpos(lower(i.calling_ae_title), lower(%(text)s)) > 0))
        AND (%(delivery)s::text = '' OR r.id IN (
            SELECT o.run_id FROM delivery d JOIN result_object o USING (sop_instance_uid) GROUP BY o.run_id
            HAVING CASE %(delivery)s::text WHEN 'waiting' THEN bool_or(d.state = 'waiting')
                WHEN 'failed' THEN bool_or(d.state IN ('given_up', 'unsupported'))
                ELSE bool_and(d.state IN ('delivered', 'committed')) END))
), page AS (
    SELECT study_instance_uid, count(*) OVER () AS study_count FROM matching
    ORDER BY last_received_at DESC, study_instance_uid LIMIT %(limit)s OFFSET %(offset)s
)
SELECT s.study_instance_uid, s.state, s.revision, s.last_received_at,
    extract(epoch FROM now() - s.last_received_at)::double precision, r.ef_percent, r.reason,
    coalesce((SELECT array_agg(g.scale || ': ' || g.grade ORDER BY g.scale) FROM grade g WHERE g.run_id = r.id), '{}'),
    coalesce((SELECT string_agg(DISTINCT i.calling_ae_title, ', ') FROM instance i
        WHERE i.study_instance_uid = s.study_instance_uid), ''),
    (SELECT count(*) FROM instance i WHERE i.study_instance_uid = s.study_instance_uid AND NOT i.conflicting
        AND NOT EXISTS (SELECT FROM result_object o WHERE o.sop_instance_uid = i.sop_instance_uid)),
    coalesce((SELECT array_agg(d.state) FROM delivery d JOIN result_object o USING (sop_instance_uid)
        WHERE o.run_id = r.id), '{}'),
    page.study_count
FROM page JOIN study s USING (study_instance_uid) LEFT JOIN run r USING (study_instance_uid, revision)
ORDER BY s.last_received_at DESC, s.study_instance_uid;

-- name: page_newest_paths
SELECT s.study_instance_uid, (SELECT i.path FROM instance i WHERE i.study_instance_uid = s.study_instance_uid
    AND NOT i.conflicting ORDER BY i.id LIMIT 1)
FROM study s ORDER BY s.last_received_at DESC, s.study_instance_uid LIMIT %(limit)s;

-- name: page_study
SELECT state, first_received_at, last_received_at,
    (SELECT string_agg(DISTINCT calling_ae_title, ', ') FROM instance i
        WHERE i.study_instance_uid = study.study_instance_uid)
FROM study WHERE study_instance_uid = %(study_instance_uid)s;

-- name: page_runs
SELECT id, revision, software_version, started_at, finished_at FROM run
WHERE study_instance_uid = %(study_instance_uid)s AND finished_at IS NOT NULL ORDER BY revision DESC;

-- name: page_instances
SELECT sop_instance_uid, path FROM instance
WHERE study_instance_uid = %(study_instance_uid)s AND NOT conflicting ORDER BY id;

-- name: page_instance_path
SELECT path FROM instance
WHERE study_instance_uid = %(study_instance_uid)s AND sop_instance_uid = %(sop_instance_uid)s AND NOT conflicting;

-- name: page_objects
SELECT sop_instance_uid, kind, path FROM result_object WHERE run_id = %(run_id)s ORDER BY kind DESC, sop_instance_uid;

-- name: page_deliveries
SELECT d.sop_instance_uid, o.kind, d.destination, d.state, d.attempt_count, d.last_attempt_at, d.status, d.detail
FROM delivery d JOIN result_object o USING (sop_instance_uid)
WHERE o.run_id = %(run_id)s ORDER BY d.destination, o.kind DESC, d.sop_instance_uid;

-- name: page_paths
SELECT DISTINCT ON (study_instance_uid) study_instance_uid, path FROM instance
WHERE study_instance_uid = ANY (%(study_instance_uids)s) AND NOT conflicting ORDER BY study_instance_uid, id;
