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

-- name: predecessors
SELECT o.sop_instance_uid, o.series_instance_uid, o.sop_class_uid, o.kind FROM result_object o JOIN run r ON r.id = o.run_id
WHERE r.study_instance_uid = %(study_instance_uid)s AND r.revision = %(revision)s AND o.kind IN ('SR', 'SR_COMPREHENSIVE', 'SR_ECHO');

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

-- name: ping
SELECT 1;
