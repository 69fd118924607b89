-- Every statement that the node runs, by name. `%(name)s` are psycopg's parameters.

-- name: upsert_study
INSERT INTO study (study_instance_uid, state, first_received_at, last_received_at, quiet_since)
VALUES (%(study_instance_uid)s, 'reported', %(received_at)s, %(received_at)s, now())
ON CONFLICT (study_instance_uid) DO NOTHING;

-- name: lock_sop_instance
SELECT pg_advisory_xact_lock(hashtextextended(%(sop_instance_uid)s, 0));

-- name: known_digests
SELECT dataset_sha256 FROM instance WHERE sop_instance_uid = %(sop_instance_uid)s;

-- name: is_own_result
SELECT EXISTS (SELECT FROM result_object WHERE sop_instance_uid = %(sop_instance_uid)s);

-- name: insert_instance
INSERT INTO instance (
    study_instance_uid, series_instance_uid, sop_instance_uid, sop_class_uid, transfer_syntax_uid,
    dataset_sha256, byte_count, path, calling_ae_title, received_at, conflicting
) VALUES (
    %(study_instance_uid)s, %(series_instance_uid)s, %(sop_instance_uid)s, %(sop_class_uid)s, %(transfer_syntax_uid)s,
    %(dataset_sha256)s, %(byte_count)s, %(path)s, %(calling_ae_title)s, %(received_at)s, %(conflicting)s
);

-- name: study_received
UPDATE study SET
    state = 'receiving',
    quiet_since = clock_timestamp(),
    last_received_at = greatest(last_received_at, %(received_at)s)
WHERE study_instance_uid = %(study_instance_uid)s;

-- name: insert_quarantined_file
INSERT INTO quarantined_file (path, detail) VALUES (%(path)s, %(detail)s) ON CONFLICT (path) DO NOTHING;

-- name: seconds_until_complete
SELECT %(quiet_period_s)s - extract(epoch FROM now() - quiet_since)::double precision
FROM study WHERE study_instance_uid = %(study_instance_uid)s FOR UPDATE;

-- name: study_inputs
SELECT path, dataset_sha256 FROM instance i
WHERE study_instance_uid = %(study_instance_uid)s AND NOT conflicting
    AND NOT EXISTS (SELECT FROM result_object o WHERE o.sop_instance_uid = i.sop_instance_uid)
ORDER BY sop_instance_uid;

-- name: studies_without_job
SELECT study_instance_uid FROM study
WHERE state IN ('receiving', 'analysing') AND NOT EXISTS (
    SELECT FROM procrastinate_jobs j
    WHERE j.lock = 'study:' || study.study_instance_uid AND j.status IN ('todo', 'doing')
);

-- name: last_finished_run
SELECT revision, inputs_sha256, started_at FROM run
WHERE study_instance_uid = %(study_instance_uid)s AND finished_at IS NOT NULL
ORDER BY revision DESC LIMIT 1;

-- name: begin_run
INSERT INTO run (study_instance_uid, revision, inputs_sha256, software_version)
VALUES (%(study_instance_uid)s, %(revision)s, %(inputs_sha256)s, %(software_version)s)
ON CONFLICT (study_instance_uid, revision) DO UPDATE SET
    inputs_sha256 = excluded.inputs_sha256,
    software_version = excluded.software_version,
    started_at = CASE WHEN run.inputs_sha256 = excluded.inputs_sha256 THEN run.started_at ELSE excluded.started_at END
RETURNING id, started_at;

-- name: study_analysing
UPDATE study SET state = 'analysing' WHERE study_instance_uid = %(study_instance_uid)s;

-- name: study_failed
UPDATE study SET state = 'failed' WHERE study_instance_uid = %(study_instance_uid)s AND state = 'analysing';

-- name: study_unchanged
UPDATE study SET state = 'reported' WHERE study_instance_uid = %(study_instance_uid)s;

-- name: study_reported
UPDATE study SET
    revision = %(revision)s,
    state = CASE WHEN quiet_since > %(started_at)s THEN state ELSE 'reported' END
WHERE study_instance_uid = %(study_instance_uid)s;

-- name: finish_run
UPDATE run SET
    finished_at = now(), view = %(view)s, method = %(method)s, beat_count = %(beat_count)s,
    ef_percent = %(ef_percent)s, edv_ml = %(edv_ml)s, esv_ml = %(esv_ml)s, reason = %(reason)s, detail = %(detail)s
WHERE id = %(run_id)s;

-- name: insert_run_engine
INSERT INTO run_engine (run_id, name, version, sha256) VALUES (%(run_id)s, %(name)s, %(version)s, %(sha256)s);

-- name: insert_clip
INSERT INTO clip (
    run_id, sop_instance_uid, view, confidence, reason, detail, calibrated, heart_rate_bpm,
    ef_percent, ef_sd_percent, edv_ml, esv_ml, flags
) VALUES (
    %(run_id)s, %(sop_instance_uid)s, %(view)s, %(confidence)s, %(reason)s, %(detail)s, %(calibrated)s,
    %(heart_rate_bpm)s, %(ef_percent)s, %(ef_sd_percent)s, %(edv_ml)s, %(esv_ml)s, %(flags)s
);

-- name: insert_measurement
INSERT INTO measurement (
    run_id, sop_instance_uid, beat_number, ed_frame_number, es_frame_number, ef_percent, edv_ml, esv_ml
) VALUES (
    %(run_id)s, %(sop_instance_uid)s, %(beat_number)s, %(ed_frame_number)s, %(es_frame_number)s,
    %(ef_percent)s, %(edv_ml)s, %(esv_ml)s
);

-- name: insert_grade
INSERT INTO grade (run_id, scale, grade) VALUES (%(run_id)s, %(scale)s, %(grade)s);

-- name: insert_result_object
INSERT INTO result_object (sop_instance_uid, run_id, series_instance_uid, sop_class_uid, kind, path)
VALUES (%(sop_instance_uid)s, %(run_id)s, %(series_instance_uid)s, %(sop_class_uid)s, %(kind)s, %(path)s)
ON CONFLICT (sop_instance_uid) DO NOTHING;

-- name: insert_delivery
INSERT INTO delivery (sop_instance_uid, destination, state) VALUES (%(sop_instance_uid)s, %(destination)s, 'waiting')
ON CONFLICT DO NOTHING;

-- name: predecessor
SELECT o.sop_instance_uid, o.series_instance_uid, o.sop_class_uid FROM result_object o JOIN run r ON r.id = o.run_id
WHERE r.study_instance_uid = %(study_instance_uid)s AND r.revision = %(revision)s AND o.kind = 'SR';

-- name: deliveries_without_job
SELECT sop_instance_uid, destination FROM delivery d
WHERE state = 'waiting' AND NOT EXISTS (
    SELECT FROM procrastinate_jobs j
    WHERE j.lock = 'delivery:' || d.destination || ':' || d.sop_instance_uid AND j.status IN ('todo', 'doing')
)
ORDER BY created_at;

-- name: delivery
SELECT o.path, d.state, extract(epoch FROM now() - d.created_at)::double precision
FROM delivery d JOIN result_object o USING (sop_instance_uid)
WHERE d.sop_instance_uid = %(sop_instance_uid)s AND d.destination = %(destination)s;

-- name: record_delivery
UPDATE delivery SET
    state = %(state)s, status = %(status)s, detail = %(detail)s,
    attempt_count = attempt_count + 1, last_attempt_at = now()
WHERE sop_instance_uid = %(sop_instance_uid)s AND destination = %(destination)s;

-- name: studies_by_state
SELECT state, count(*) FROM study GROUP BY state;

-- name: queue_depth
SELECT queue_name, count(*),
    greatest(0, coalesce(extract(epoch FROM now() - min(coalesce(scheduled_at, now()))), 0))::double precision
FROM procrastinate_jobs WHERE status = 'todo' GROUP BY queue_name;

-- name: list_studies
SELECT s.study_instance_uid, s.state, s.revision, s.last_received_at, i.instance_count, i.calling_ae_titles,
    r.ef_percent, r.view, r.reason,
    (SELECT jsonb_object_agg(state, number) FROM (
        SELECT d.state, count(*) AS number FROM delivery d
        JOIN result_object o USING (sop_instance_uid) JOIN run ON run.id = o.run_id
        WHERE run.study_instance_uid = s.study_instance_uid GROUP BY d.state
    ) AS states)
FROM study s
CROSS JOIN LATERAL (
    SELECT count(*) AS instance_count, coalesce(array_agg(DISTINCT calling_ae_title), '{}') AS calling_ae_titles
    FROM instance WHERE instance.study_instance_uid = s.study_instance_uid
) i
LEFT JOIN run r ON r.study_instance_uid = s.study_instance_uid AND r.revision = s.revision
WHERE (%(state)s::text IS NULL OR s.state = %(state)s)
    AND (%(study_instance_uid)s::text IS NULL OR s.study_instance_uid = %(study_instance_uid)s)
ORDER BY s.last_received_at DESC LIMIT %(limit)s;

-- name: run_of_revision
SELECT software_version FROM run WHERE study_instance_uid = %(study_instance_uid)s AND revision = %(revision)s;

-- name: engines_of_revision
SELECT e.name, e.version, e.sha256 FROM run_engine e JOIN run r ON r.id = e.run_id
WHERE r.study_instance_uid = %(study_instance_uid)s AND r.revision = %(revision)s ORDER BY e.name;

-- name: grades_of_revision
SELECT g.scale || ':', g.grade FROM grade g JOIN run r ON r.id = g.run_id
WHERE r.study_instance_uid = %(study_instance_uid)s AND r.revision = %(revision)s ORDER BY g.scale;

-- name: clips_of_revision
SELECT c.sop_instance_uid, c.view, c.ef_percent, c.edv_ml, c.esv_ml, c.reason, c.detail, c.flags
FROM clip c JOIN run r ON r.id = c.run_id
WHERE r.study_instance_uid = %(study_instance_uid)s AND r.revision = %(revision)s ORDER BY c.sop_instance_uid;

-- name: deliveries_of_study
SELECT o.kind, d.sop_instance_uid, r.revision, d.destination, d.state, d.attempt_count, d.last_attempt_at, d.status,
    d.detail
FROM delivery d JOIN result_object o USING (sop_instance_uid) JOIN run r ON r.id = o.run_id
WHERE r.study_instance_uid = %(study_instance_uid)s ORDER BY r.revision, o.kind, d.destination, d.sop_instance_uid;

-- name: deliveries_by_state
SELECT state, count(*) FROM delivery GROUP BY state;

-- name: jobs_by_queue
SELECT queue_name, count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing') GROUP BY queue_name;

-- name: quarantined_count
SELECT count(*) FROM quarantined_file;

-- name: ask_for_analysis
UPDATE study SET state = 'receiving' WHERE study_instance_uid = %(study_instance_uid)s RETURNING study_instance_uid;

-- name: failed_studies
SELECT study_instance_uid FROM study WHERE state = 'failed' ORDER BY last_received_at;

-- name: revive_deliveries
UPDATE delivery d SET state = 'waiting', created_at = now() FROM result_object o JOIN run r ON r.id = o.run_id
WHERE o.sop_instance_uid = d.sop_instance_uid AND d.state = 'given_up'
    AND (%(study_instance_uid)s::text IS NULL OR r.study_instance_uid = %(study_instance_uid)s)
RETURNING d.sop_instance_uid;

-- name: has_live_worker
SELECT EXISTS (SELECT FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => %(within_s)s));

-- name: seconds_since_last_instance
SELECT extract(epoch FROM clock_timestamp() - max(i.received_at))::double precision
FROM result_object o JOIN run r ON r.id = o.run_id JOIN instance i USING (study_instance_uid)
WHERE o.sop_instance_uid = %(sop_instance_uid)s AND i.received_at <= r.started_at
    AND NOT EXISTS (SELECT FROM result_object own WHERE own.sop_instance_uid = i.sop_instance_uid);

-- name: ping
SELECT 1;
