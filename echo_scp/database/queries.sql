-- Every statement that the node runs, by name. `%(name)s` are psycopg's parameters.

-- name: upsert_study
INSERT INTO study (study_instance_uid, state, first_received_at, last_received_at, quiet_since)
VALUES (%(study_instance_uid)s, 'reported', %(received_at)s, %(received_at)s, now())
ON CONFLICT (study_instance_uid) DO NOTHING;

-- name: lock_sop_instance
SELECT pg_advisory_xact_lock(hashtextextended(%(sop_instance_uid)s, 0));

-- name: known_files
SELECT dataset_sha256, path, conflicting FROM instance WHERE sop_instance_uid = %(sop_instance_uid)s;

-- name: file_found
UPDATE instance SET path = %(path)s
WHERE sop_instance_uid = %(sop_instance_uid)s AND dataset_sha256 = %(dataset_sha256)s;

-- name: inputs_were_damaged
-- Nobody knows since when, so nobody knows what the last run saw: it is not the last word on these inputs.
UPDATE run SET inputs_sha256 = inputs_sha256 || ' damaged'
WHERE study_instance_uid = %(study_instance_uid)s AND finished_at IS NOT NULL
    AND revision = (SELECT max(revision) FROM run r WHERE r.study_instance_uid = run.study_instance_uid AND r.finished_at IS NOT NULL);

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

-- name: conflicting_versions
-- Of every instance that waits for an operator: the version that is analysed first, then the others as they came.
SELECT sop_instance_uid, study_instance_uid, path, calling_ae_title, received_at FROM instance
WHERE NOT settled AND sop_instance_uid IN (SELECT sop_instance_uid FROM instance WHERE conflicting AND NOT settled)
ORDER BY min(id) OVER (PARTITION BY sop_instance_uid), conflicting, id;

-- name: conflict_count
SELECT count(DISTINCT sop_instance_uid) FROM instance WHERE conflicting AND NOT settled;

-- name: newest_conflict
SELECT max(id) FROM instance WHERE sop_instance_uid = %(sop_instance_uid)s AND conflicting AND NOT settled;

-- name: supersede_instance
UPDATE instance SET conflicting = true
WHERE sop_instance_uid = %(sop_instance_uid)s AND NOT conflicting RETURNING study_instance_uid;

-- name: instate_version
UPDATE instance SET conflicting = false WHERE id = %(id)s RETURNING study_instance_uid;

-- name: settle_conflict
UPDATE instance SET settled = true WHERE sop_instance_uid = %(sop_instance_uid)s AND conflicting AND NOT settled;

-- name: study_received
UPDATE study SET
    state = 'receiving',
    failure = '',
    quiet_since = clock_timestamp(),
    last_received_at = greatest(last_received_at, %(received_at)s)
WHERE study_instance_uid = %(study_instance_uid)s;

-- name: insert_quarantined_file
INSERT INTO quarantined_file (path, detail) VALUES (%(path)s, %(detail)s) ON CONFLICT (path) DO NOTHING;

-- name: forget_future_arrival
-- The clock went back: the quiet period begins again rather than last until then.
UPDATE study SET quiet_since = now() WHERE study_instance_uid = %(study_instance_uid)s AND quiet_since > now();

-- name: study_evidence
SELECT
    extract(epoch FROM clock_timestamp() - quiet_since)::double precision,
    coalesce(committed_at > quiet_since, false),
    coalesce(held_until > clock_timestamp(), false),
    coalesce((
        SELECT calling_ae_title FROM instance i
        WHERE i.study_instance_uid = study.study_instance_uid ORDER BY id DESC LIMIT 1
    ), '')
FROM study WHERE study_instance_uid = %(study_instance_uid)s FOR UPDATE;

-- name: study_steps
SELECT state, cardinality(instance_uids), (
    SELECT count(*) FROM unnest(instance_uids) AS named (uid)
    WHERE NOT EXISTS (SELECT FROM instance WHERE sop_instance_uid = named.uid)
)
FROM procedure_step WHERE study_instance_uids @> ARRAY[%(study_instance_uid)s];

-- name: upsert_step
INSERT INTO procedure_step (sop_instance_uid, state, study_instance_uids, instance_uids, changed_at)
VALUES (
    %(sop_instance_uid)s, %(state)s, %(study_instance_uids)s, %(instance_uids)s, to_timestamp(%(changed_at_s)s)
)
ON CONFLICT (sop_instance_uid) DO UPDATE SET
    state = excluded.state, study_instance_uids = excluded.study_instance_uids,
    instance_uids = excluded.instance_uids, changed_at = excluded.changed_at;

-- name: hold_studies
UPDATE study SET held_until = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE state = 'receiving' AND study_instance_uid IN (
    SELECT (SELECT study_instance_uid FROM instance WHERE calling_ae_title = title ORDER BY id DESC LIMIT 1)
    FROM unnest(%(calling_ae_titles)s::text[]) AS title
);

-- name: stored_instances
SELECT sop_instance_uid, sop_class_uid, path, study_instance_uid FROM instance
WHERE sop_instance_uid = ANY(%(sop_instance_uids)s) AND NOT conflicting;

-- name: note_commitment
UPDATE study SET committed_at = clock_timestamp()
WHERE study_instance_uid = %(study_instance_uid)s AND NOT EXISTS (
    SELECT FROM instance i
    WHERE i.study_instance_uid = study.study_instance_uid AND NOT conflicting
        AND sop_instance_uid <> ALL(%(sop_instance_uids)s)
);

-- name: hasten_analysis
UPDATE procrastinate_jobs SET scheduled_at = now()
WHERE queueing_lock = 'study:' || %(study_instance_uid)s AND status = 'todo' AND scheduled_at > now();

-- name: hasten_named_analysis
-- Perhaps all is here that a finished step names. After study_received: who decides to wait holds that row.
UPDATE procrastinate_jobs SET scheduled_at = now()
WHERE queueing_lock = 'study:' || %(study_instance_uid)s AND status = 'todo' AND scheduled_at > now()
    AND EXISTS (
        SELECT FROM procedure_step
        WHERE study_instance_uids @> ARRAY[%(study_instance_uid)s] AND state <> 'IN PROGRESS'
            AND %(sop_instance_uid)s = ANY (instance_uids)
    );

-- name: study_inputs
SELECT path, dataset_sha256, series_instance_uid, sop_instance_uid, sop_class_uid FROM instance i
WHERE study_instance_uid = %(study_instance_uid)s AND NOT conflicting
    AND NOT EXISTS (SELECT FROM result_object o WHERE o.sop_instance_uid = i.sop_instance_uid)
ORDER BY sop_instance_uid;

-- name: studies_without_job
SELECT study_instance_uid FROM study
WHERE state IN ('receiving', 'analysing') AND NOT EXISTS (
    SELECT FROM procrastinate_jobs j
    WHERE j.lock = 'study:' || study.study_instance_uid AND j.status IN ('todo', 'doing')
);

-- name: pull_in_jobs
-- Mostly the clock has gone back since. A study that waits so long for a slow machine is looked at early, and waits on.
UPDATE procrastinate_jobs SET scheduled_at = now()
WHERE status = 'todo' AND scheduled_at > now() + make_interval(secs => %(longest_wait_s)s);

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
UPDATE study SET state = 'failed', failure = %(failure)s WHERE study_instance_uid = %(study_instance_uid)s AND state = 'analysing';

-- name: study_unchanged
UPDATE study SET state = 'reported' WHERE study_instance_uid = %(study_instance_uid)s;

-- name: study_reported
UPDATE study SET
    revision = %(revision)s,
    -- What came meanwhile has made it 'receiving' again. No clock is asked: it may jump.
    state = CASE WHEN state = 'analysing' THEN 'reported' ELSE state END
WHERE study_instance_uid = %(study_instance_uid)s;

-- name: lock_run
SELECT finished_at IS NOT NULL OR inputs_sha256 <> %(inputs_sha256)s FROM run WHERE id = %(run_id)s FOR UPDATE;

-- name: finish_run
UPDATE run SET
    finished_at = now(), view = %(view)s, method = %(method)s, beat_count = %(beat_count)s,
    ef_percent = %(ef_percent)s, edv_ml = %(edv_ml)s, esv_ml = %(esv_ml)s, reason = %(reason)s, detail = %(detail)s
WHERE id = %(run_id)s;

-- name: run_made_of
UPDATE run SET inputs_sha256 = %(inputs_sha256)s WHERE id = %(run_id)s;

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
INSERT INTO delivery (sop_instance_uid, destination, state, urgent)
VALUES (%(sop_instance_uid)s, %(destination)s, 'waiting', %(urgent)s)
ON CONFLICT DO NOTHING;

-- name: predecessors
SELECT o.sop_instance_uid, o.series_instance_uid, o.sop_class_uid, o.kind FROM result_object o JOIN run r ON r.id = o.run_id
WHERE r.study_instance_uid = %(study_instance_uid)s AND r.revision = %(revision)s AND starts_with(o.kind, 'SR');

-- A time so far ahead that nothing here sets it was set before the clock went back: it counts as past.

-- name: due_deliveries
SELECT d.sop_instance_uid, o.path, o.kind, o.run_id, r.study_instance_uid, d.failure_count, d.urgent
FROM delivery d JOIN result_object o USING (sop_instance_uid) JOIN run r ON r.id = o.run_id
WHERE d.destination = %(destination)s AND d.state = 'waiting'
    AND (d.next_attempt_at <= now() OR d.next_attempt_at > now() + %(longest_wait)s)
ORDER BY d.urgent DESC, d.number LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED;

-- name: take_delivery
SELECT d.sop_instance_uid, o.path, o.kind, o.run_id, r.study_instance_uid, d.failure_count, d.urgent
FROM delivery d JOIN result_object o USING (sop_instance_uid) JOIN run r ON r.id = o.run_id
WHERE d.destination = %(destination)s AND d.state = 'waiting'
    AND (d.next_attempt_at <= now() OR d.next_attempt_at > now() + %(longest_wait)s)
ORDER BY d.urgent DESC, d.number LIMIT 1 FOR UPDATE OF d SKIP LOCKED;

-- name: delivery_made
UPDATE delivery SET
    state = 'delivered', status = %(status)s, detail = %(detail)s, delivered_at = clock_timestamp(),
    attempt_count = attempt_count + 1, failure_count = 0, last_attempt_at = clock_timestamp(),
    next_attempt_at = clock_timestamp()
WHERE sop_instance_uid = %(sop_instance_uid)s AND destination = %(destination)s;

-- name: delivery_failed
UPDATE delivery SET
    state = CASE WHEN %(for_good)s THEN 'unsupported' WHEN tried_s + %(wait_s)s > %(give_up_after_s)s THEN 'given_up'
        ELSE 'waiting' END,
    status = %(status)s, detail = %(detail)s, tried_s = tried_s + %(wait_s)s,
    attempt_count = attempt_count + 1, failure_count = failure_count + 1, last_attempt_at = clock_timestamp(),
    next_attempt_at = clock_timestamp() + make_interval(secs => %(wait_s)s)
WHERE sop_instance_uid = %(sop_instance_uid)s AND destination = %(destination)s
RETURNING state;

-- name: kinds_of_run
SELECT DISTINCT kind FROM result_object WHERE run_id = %(run_id)s;

-- name: insert_fallbacks
INSERT INTO delivery (sop_instance_uid, destination, state, urgent)
SELECT o.sop_instance_uid, %(destination)s, 'waiting', %(urgent)s FROM result_object o
WHERE o.run_id = %(run_id)s AND o.kind = ANY (%(kinds)s)
ON CONFLICT DO NOTHING;

-- name: destination_rest
SELECT failure_count, rest_until > now() AND rest_until <= now() + %(longest_wait)s
FROM destination WHERE name = %(destination)s;

-- name: claim_destination
UPDATE destination SET rest_until = now() + make_interval(secs => %(probe_s)s)
WHERE name = %(destination)s AND NOT (rest_until > now() AND rest_until <= now() + %(longest_wait)s)
RETURNING name;

-- name: destination_answered
DELETE FROM destination WHERE name = %(destination)s;

-- name: destination_failed
INSERT INTO destination (name, failure_count, rest_until, detail)
VALUES (%(destination)s, 1, clock_timestamp() + make_interval(secs => %(wait_s)s), %(detail)s)
ON CONFLICT (name) DO UPDATE SET
    failure_count = destination.failure_count + 1, rest_until = excluded.rest_until, detail = excluded.detail;

-- name: charge_waiting
UPDATE delivery SET
    state = CASE WHEN tried_s + %(wait_s)s > %(give_up_after_s)s THEN 'given_up' ELSE 'waiting' END,
    detail = %(detail)s, tried_s = tried_s + %(wait_s)s,
    attempt_count = attempt_count + 1, last_attempt_at = clock_timestamp()
WHERE destination = %(destination)s AND state = 'waiting'
RETURNING sop_instance_uid, state;

-- name: take_uncommitted
SELECT d.sop_instance_uid, o.sop_class_uid, d.failure_count FROM delivery d JOIN result_object o USING (sop_instance_uid)
WHERE d.destination = %(destination)s AND d.state = 'delivered'
    AND (d.next_attempt_at <= now() OR d.next_attempt_at > now() + %(longest_wait)s)
ORDER BY d.number LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED;

-- name: note_commitment_request
INSERT INTO commitment_request (transaction_uid, destination, sop_instance_uids)
VALUES (%(transaction_uid)s, %(destination)s, %(sop_instance_uids)s);

-- name: commitment_request
SELECT destination, sop_instance_uids FROM commitment_request WHERE transaction_uid = %(transaction_uid)s;

-- name: forget_commitment_requests
DELETE FROM commitment_request WHERE asked_at < now() - make_interval(secs => %(kept_s)s);

-- name: delivery_committed
UPDATE delivery SET state = 'committed', committed_at = clock_timestamp(), detail = ''
WHERE sop_instance_uid = ANY (%(sop_instance_uids)s) AND destination = %(destination)s AND state = 'delivered'
RETURNING sop_instance_uid;

-- name: commitment_failed
-- It waits as long as it has been tried: each sending is answered with Success, and the failures in a row begin anew.
UPDATE delivery SET
    state = CASE WHEN tried_s + w.wait_s > %(give_up_after_s)s THEN 'given_up' ELSE 'waiting' END,
    detail = %(detail)s, tried_s = tried_s + w.wait_s,
    next_attempt_at = clock_timestamp() + make_interval(secs => w.wait_s)
FROM (
    SELECT d.sop_instance_uid, d.destination, greatest(%(first_s)s, least(d.tried_s, %(maximum_s)s)) AS wait_s
    FROM delivery d
) AS w
WHERE delivery.sop_instance_uid = %(sop_instance_uid)s AND delivery.destination = %(destination)s AND state = 'delivered'
    AND w.sop_instance_uid = delivery.sop_instance_uid AND w.destination = delivery.destination
RETURNING state;

-- name: commitment_asked
UPDATE delivery SET
    failure_count = failure_count + 1, next_attempt_at = clock_timestamp() + make_interval(secs => %(wait_s)s)
WHERE sop_instance_uid = ANY (%(sop_instance_uids)s) AND destination = %(destination)s;

-- name: commitment_unanswered
UPDATE delivery SET detail = %(detail)s, next_attempt_at = clock_timestamp() + make_interval(secs => %(wait_s)s)
WHERE sop_instance_uid = ANY (%(sop_instance_uids)s) AND destination = %(destination)s AND state = 'delivered';

-- name: waiting_by_destination
SELECT destination, count(*), greatest(0, extract(epoch FROM now() - min(created_at)))::double precision,
    max(attempt_count)
FROM delivery WHERE state = 'waiting' GROUP BY destination;

-- name: given_up_by_destination
SELECT destination, count(*) FROM delivery WHERE state = 'given_up' GROUP BY destination;

-- name: resting_destinations
SELECT name, failure_count, rest_until, detail FROM destination;

-- name: list_deliveries
SELECT d.sop_instance_uid, d.destination, d.state, o.kind, r.study_instance_uid, r.revision, d.urgent, d.attempt_count,
    d.created_at, d.last_attempt_at, greatest(d.next_attempt_at, t.rest_until), d.delivered_at, d.committed_at,
    d.status, d.detail
FROM delivery d JOIN result_object o USING (sop_instance_uid) JOIN run r ON r.id = o.run_id
    LEFT JOIN destination t ON t.name = d.destination
WHERE (%(states)s::text[] IS NULL OR d.state = ANY (%(states)s))
    AND (%(destination)s::text IS NULL OR d.destination = %(destination)s)
    AND (%(study_instance_uid)s::text IS NULL OR r.study_instance_uid = %(study_instance_uid)s)
    AND (%(sop_instance_uid)s::text IS NULL OR d.sop_instance_uid = %(sop_instance_uid)s)
ORDER BY d.state = 'waiting' DESC, d.urgent DESC, d.number DESC LIMIT %(limit)s;

-- name: retry_deliveries
UPDATE delivery d SET
    state = 'waiting', next_attempt_at = now(), tried_s = 0, failure_count = 0, detail = 'retried by an operator'
FROM result_object o, run r
WHERE o.sop_instance_uid = d.sop_instance_uid AND r.id = o.run_id
    AND d.state = ANY (%(states)s)
    AND (%(destination)s::text IS NULL OR d.destination = %(destination)s)
    AND (%(study_instance_uid)s::text IS NULL OR r.study_instance_uid = %(study_instance_uid)s)
    AND (%(sop_instance_uid)s::text IS NULL OR d.sop_instance_uid = %(sop_instance_uid)s)
RETURNING d.sop_instance_uid, d.destination;

-- name: cancel_deliveries
UPDATE delivery d SET state = 'cancelled', detail = 'cancelled by an operator'
FROM result_object o, run r
WHERE o.sop_instance_uid = d.sop_instance_uid AND r.id = o.run_id
    AND d.state IN ('waiting', 'given_up', 'unsupported')
    AND (%(destination)s::text IS NULL OR d.destination = %(destination)s)
    AND (%(study_instance_uid)s::text IS NULL OR r.study_instance_uid = %(study_instance_uid)s)
    AND (%(sop_instance_uid)s::text IS NULL OR d.sop_instance_uid = %(sop_instance_uid)s)
RETURNING d.sop_instance_uid, d.destination;

-- name: studies_by_state
SELECT state, count(*) FROM study GROUP BY state;

-- name: queue_depth
SELECT queue_name, count(*),
    greatest(0, coalesce(extract(epoch FROM now() - min(coalesce(scheduled_at, now()))), 0))::double precision
FROM procrastinate_jobs WHERE status = 'todo' GROUP BY queue_name;

-- name: list_studies
SELECT s.study_instance_uid, s.state, s.revision, s.last_received_at, i.instance_count, i.calling_ae_titles,
    r.ef_percent, r.view, r.method, r.reason,
    (SELECT jsonb_object_agg(state, number) FROM (
        SELECT d.state, count(*) AS number FROM delivery d
        JOIN result_object o USING (sop_instance_uid) JOIN run ON run.id = o.run_id
        WHERE run.study_instance_uid = s.study_instance_uid GROUP BY d.state
    ) AS states), s.failure
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
UPDATE study SET state = 'receiving', failure = '' WHERE study_instance_uid = %(study_instance_uid)s RETURNING study_instance_uid;

-- name: failed_studies
SELECT study_instance_uid FROM study WHERE state = 'failed' ORDER BY last_received_at;

-- name: take_purgeable_study
-- Reported, quiet for long enough, no version of its instances (in whatever study) that waits for an operator, sent to
-- somebody, and every delivery made.
-- What a destination does not support it will never have: it holds nothing up where another object was delivered to it.
SELECT s.study_instance_uid FROM study s
WHERE s.state = 'reported'
    AND s.last_received_at < now() - make_interval(secs => %(minimum_age_s)s)
    AND s.quiet_since < now() - make_interval(secs => %(minimum_age_s)s)
    AND EXISTS (SELECT FROM instance i WHERE i.study_instance_uid = s.study_instance_uid)
    AND NOT EXISTS (
        SELECT FROM instance i JOIN instance version USING (sop_instance_uid)
        WHERE i.study_instance_uid = s.study_instance_uid AND version.conflicting AND NOT version.settled
    )
    AND EXISTS (
        SELECT FROM delivery d JOIN result_object o USING (sop_instance_uid) JOIN run r ON r.id = o.run_id
        WHERE r.study_instance_uid = s.study_instance_uid AND d.state IN ('delivered', 'committed')
    )
    AND NOT EXISTS (
        SELECT FROM delivery d JOIN result_object o USING (sop_instance_uid) JOIN run r ON r.id = o.run_id
        WHERE r.study_instance_uid = s.study_instance_uid AND CASE
            WHEN d.state = 'committed' THEN false
            WHEN d.state = 'delivered' THEN d.destination = ANY (%(committing)s::text[])
            WHEN d.state = 'unsupported' THEN NOT EXISTS (
                SELECT FROM delivery e JOIN result_object p USING (sop_instance_uid)
                WHERE p.run_id = o.run_id AND e.destination = d.destination AND e.state IN ('delivered', 'committed')
            )
            ELSE true
        END
    )
ORDER BY s.last_received_at LIMIT 1 FOR UPDATE OF s SKIP LOCKED;

-- name: study_files
SELECT path FROM instance WHERE study_instance_uid = %(study_instance_uid)s;

-- name: forget_study_files
WITH forgotten AS (
    DELETE FROM instance WHERE study_instance_uid = %(study_instance_uid)s AND (settled OR NOT conflicting)
    RETURNING path, sop_instance_uid
), objects AS (
    SELECT o.path, o.sop_instance_uid FROM result_object o JOIN run r ON r.id = o.run_id
    WHERE r.study_instance_uid = %(study_instance_uid)s
)
INSERT INTO purged_file (path, sop_instance_uid)
SELECT path, sop_instance_uid FROM forgotten UNION SELECT path, sop_instance_uid FROM objects
ON CONFLICT DO NOTHING;

-- name: take_purged_file
SELECT path, sop_instance_uid FROM purged_file
WHERE path <> ALL (%(stuck)s::text[]) LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: instance_at
SELECT path FROM instance WHERE path = %(path)s;

-- name: forget_purged_file
DELETE FROM purged_file WHERE path = %(path)s;

-- name: has_live_worker
SELECT EXISTS (SELECT FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => %(within_s)s));

-- name: seconds_since_last_instance
SELECT extract(epoch FROM clock_timestamp() - max(i.received_at))::double precision
FROM result_object o JOIN run r ON r.id = o.run_id JOIN instance i USING (study_instance_uid)
WHERE o.sop_instance_uid = %(sop_instance_uid)s AND i.received_at <= r.started_at
    AND NOT EXISTS (SELECT FROM result_object own WHERE own.sop_instance_uid = i.sop_instance_uid);

-- name: ping
SELECT 1;
