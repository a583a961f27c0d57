-- Five questions about runs, for the Queries tab of the Quilt catalog or for Athena (Trino SQL).
--
-- The tables are the Iceberg tables that Quilt keeps of each bucket, from platform 1.70 on: package_revision,
-- package_tag and package_manifest, whose column metadata is the user metadata of the package as it is. Choose their
-- database first: IcebergDatabaseName among the outputs of the CloudFormation stack. See
-- https://github.com/quiltdata/quilt/blob/master/docs/advanced-features/iceberg-tables.md
--
-- Replace the words in capitals within quotes (a quote in a value is written twice), and run one statement at a time.
-- 1 to 4 look at all revisions, so they also find a run whose package was made again since. 5 looks at the latest.
-- A package holds at most 2,000 samples, 200 inputs and 100 containers of its run. Where there were more, its
-- warnings say truncated:samples and so on.

-- 1. Runs of a pipeline on a sample
SELECT DISTINCT
  r.pkg_name,
  r.top_hash,
  json_extract_scalar(m.metadata, '$.run_name') AS run_name,
  json_extract_scalar(m.metadata, '$.run_started') AS run_started,
  json_extract_scalar(m.metadata, '$.run_status') AS run_status,
  json_extract_scalar(m.metadata, '$.pipeline_version') AS pipeline_version
FROM "BUCKET_package_revision" r
JOIN "BUCKET_package_manifest" m ON m.top_hash = r.top_hash
WHERE json_extract_scalar(m.metadata, '$.pipeline') = 'PIPELINE'
  AND json_array_contains(json_extract(m.metadata, '$.samples'), 'SAMPLE')
ORDER BY run_started DESC, pkg_name;

-- 2. Who ran this package, with which version: its revisions, the newest first
SELECT
  r."timestamp" AS packaged,
  r.top_hash,
  json_extract_scalar(m.metadata, '$.agent') AS agent,
  json_extract_scalar(m.metadata, '$.agent_orcid') AS agent_orcid,
  json_extract_scalar(m.metadata, '$.organization') AS organization,
  json_extract_scalar(m.metadata, '$.user') AS account,
  json_extract_scalar(m.metadata, '$.pipeline') AS pipeline,
  json_extract_scalar(m.metadata, '$.pipeline_version') AS pipeline_version,
  json_extract_scalar(m.metadata, '$.pipeline_revision') AS pipeline_revision,
  json_extract_scalar(m.metadata, '$.pipeline_commit') AS pipeline_commit,
  json_extract_scalar(m.metadata, '$.engine') AS engine,
  json_extract_scalar(m.metadata, '$.engine_version') AS engine_version
FROM "BUCKET_package_revision" r
JOIN "BUCKET_package_manifest" m ON m.top_hash = r.top_hash
WHERE r.pkg_name = 'PACKAGE'
ORDER BY packaged DESC;

-- 3. Runs that used a container: the image as it is recorded, or without its registry, tag or digest
SELECT DISTINCT
  r.pkg_name,
  r.top_hash,
  json_extract_scalar(m.metadata, '$.run_name') AS run_name,
  json_extract_scalar(m.metadata, '$.run_started') AS run_started,
  json_extract_scalar(m.metadata, '$.pipeline') AS pipeline,
  json_format(json_extract(m.metadata, '$.containers')) AS containers
FROM "BUCKET_package_revision" r
JOIN "BUCKET_package_manifest" m ON m.top_hash = r.top_hash
WHERE regexp_like(json_format(json_extract(m.metadata, '$.containers')), '["/]CONTAINER[:@"]')
ORDER BY run_started DESC, pkg_name;

-- 4. Failed runs since a day or a time, in UTC: 2026-01-31 or 2026-01-31T12:00:00Z
-- (such times compare as text, and the second bound keeps out what is no time)
SELECT DISTINCT
  r.pkg_name,
  r.top_hash,
  json_extract_scalar(m.metadata, '$.run_name') AS run_name,
  json_extract_scalar(m.metadata, '$.run_started') AS run_started,
  json_extract_scalar(m.metadata, '$.run_ended') AS run_ended,
  json_extract_scalar(m.metadata, '$.pipeline') AS pipeline,
  json_extract_scalar(m.metadata, '$.tasks_failed') AS tasks_failed,
  json_extract_scalar(m.metadata, '$.run_error') AS run_error
FROM "BUCKET_package_revision" r
JOIN "BUCKET_package_manifest" m ON m.top_hash = r.top_hash
WHERE json_extract_scalar(m.metadata, '$.run_status') = 'failed'
  AND COALESCE(
    json_extract_scalar(m.metadata, '$.run_started'),
    json_extract_scalar(m.metadata, '$.run_ended')
  ) BETWEEN 'SINCE' AND '9999'
ORDER BY run_started DESC, pkg_name;

-- 5. Packages with an input: its whole path or URI, or the end of it, such as the name of the file
SELECT
  t.pkg_name,
  t.top_hash,
  json_extract_scalar(m.metadata, '$.pipeline') AS pipeline,
  json_extract_scalar(m.metadata, '$.run_started') AS run_started,
  json_extract_scalar(m.metadata, '$.run_status') AS run_status
FROM "BUCKET_package_tag" t
JOIN "BUCKET_package_manifest" m ON m.top_hash = t.top_hash
WHERE t.tag_name = 'latest'
  AND (
    json_array_contains(json_extract(m.metadata, '$.inputs'), 'INPUT')
    OR strpos(json_format(json_extract(m.metadata, '$.inputs')), '/INPUT"') > 0
  )
ORDER BY t.pkg_name;
