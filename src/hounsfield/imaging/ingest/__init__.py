"""Ingestion: the one way of a DICOM file into an image set, for import jobs and for STOW-RS.

    imports/  object of a bucket ─┐                                                   what is particular to a job:
    receive/  part of a request  ─┤                                                   listing, attempts, output files
                                  ▼                                                   what is particular to a request:
                             InputFile                                                spool, group commit, response
                                  │  some of one job or request
                                  ▼
                                Share ──▶ IngestScheduler ──▶ worker process ──▶ FileResult ─┬─▶ Failure
                                               │                │                            └─▶ StagedInstance
                                               │                │ read, transcode, verify             │
                                               │                └─▶ packs: frames, fragment,          │ grouping
                                               │                    data set, sealed and durable      ▼
                                               │                                             planned versions
                                               └─ a worker died: each file alone                      │ one transaction
                                                  (IsolatedWorker), only the culprit fails            ▼
                                                                                        rows of image sets and instances

`files` has the values that travel, `worker` and `series_packs` what happens in the worker process, `scheduler`, `isolation` and
`workers` what happens around it, `grouping` and `image_set_writer` what turns staged instances into versions of image sets.
"""
