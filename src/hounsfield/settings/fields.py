"""Fields of the settings, and values derived from single ones."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hounsfield.settings.audit_on_failure import AuditFailureMode
from hounsfield.settings.audit_uids import UidRecording
from hounsfield.settings.executor import ExecutorPlace, check_executor
from hounsfield.settings.import_roles import ImportRoles
from hounsfield.settings.throttling import Throttling
from hounsfield.settings.tls import ClientCertificates, TlsFiles, TlsVersion

_DAY_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Fields:
    """Settings of an installation.

    Attributes
    ----------
    data : Path
        Folder of everything that is kept on this machine.
    region : str
        The region that requests are signed for and that is part of ARNs.
    account_id : str
        The account that is part of ARNs, 12 digits.
    partition : str
        The first part of ARNs.
    database_url : str
        PostgreSQL URL; empty for the embedded encrypted database in the data folder.
    database_wait_seconds : float
        How long a request or a piece of work waits for the database where others lock it, or use all connections to it; then
        it is answered 503, or tried again.
    database_replica_url : str
        PostgreSQL URL of a standby of the database, which answers searches; empty for none.
    database_replica_seconds : float
        How old what the standby answers may be; where it is further behind, the database itself is asked.
    database_statement_seconds : float
        How long a statement of PostgreSQL may take, and how long a transaction there may stand still; 0 for no
        limit.
    blobs_url : str
        Object store for packs, such as ``s3://bucket/prefix``, or a folder on another disk, such as
        ``file:///disk/packs``; empty for the data folder.
    s3_endpoint_url : str
        S3 endpoint that import jobs read from and write to; empty for the bucket folder.
    s3 : str
        ``aws`` to let import jobs use AWS S3 itself.
    s3_access_key_id : str
        Access key id for the S3 endpoint; empty for the credentials of the environment (``AWS_ACCESS_KEY_ID`` and so on).
    s3_secret_access_key : str
        Secret access key for the S3 endpoint.
    import_roles : str
        What roles of import jobs are: ``open``, ``strict`` or ``sts``; empty for ``sts`` where S3 is AWS itself, else ``open``.
    kms_endpoint_url : str
        Key service (the API of AWS KMS) for data stores with a ``kmsKeyArn``; empty for none, or AWS.
    kms : str
        ``aws`` to use AWS KMS itself.
    kms_access_key_id : str
        Access key id for the key service; empty for the credentials of the environment (``AWS_ACCESS_KEY_ID`` and so on).
    kms_secret_access_key : str
        Secret access key for the key service.
    kms_cache_seconds : float
        How long a key of the key service is used before the service is asked again, 5 to 3600: a key that was disabled opens
        nothing any more after that time.
    api_workers : int
        Processes that answer requests.
    import_workers : int
        Processes that transcode; 0 for one per processor.
    store_workers : int
        Processes of each API process that transcode what is stored by DICOMweb, started with the first of it or some seconds
        after the API process; 0 for one per processor, shared by the API processes.
    max_store_bytes : int
        Largest body of a DICOMweb request that stores.
    public_url : str
        What URLs in DICOMweb answers begin with, such as ``https://pacs.example.org``; empty for what the client called.
    cors_origins : str
        Origins whose web pages may call, such as ``https://viewer.example.org,http://localhost:3000``; ``*`` for all, empty for
        none.
    trusted_proxies : str
        Addresses and networks of proxies that are believed when they say for whom they call (``X-Forwarded-For``,
        ``X-Forwarded-Proto``, or ``Forwarded``), such as ``10.1.0.5,10.2.0.0/16``; empty for none.
    classic_search_actions : bool
        Let policies that grant SearchDICOMSeries and SearchDICOMInstances grant the searches across studies and series too.
    descriptions_ignore_case : bool
        Let DICOMweb searches match StudyDescription without regard to case; then no index helps to find it.
    dicomweb_delete : bool
        Allow DELETE of studies, series and instances by DICOMweb.
    executor : str
        Scheduler of a Dask cluster whose workers import, and share in what is stored by DICOMweb and in verifying:
        ``dask+tls://host:port``, or ``dask://host:port`` on this machine; empty for processes of this machine alone.
    executor_ca : str
        PEM file with the authorities for certificates of the cluster.
    executor_certificate : str
        PEM file with the certificate that this installation shows to the cluster.
    executor_key : str
        PEM file with its private key, not encrypted.
    executor_plain : bool
        Let keys of data stores travel to a cluster on other machines without TLS; whoever can listen there reads them.
    import_slots : int
        Import jobs worked on at the same time by one runner.
    lease_seconds : float
        How long after the death of a runner another one goes on with its jobs.
    max_body_bytes : int
        Largest request body of the native API.
    max_connections : int
        Connections that clients may have at the same time, over all API processes; more wait to be accepted.
    max_header_bytes : int
        Largest number of bytes of all headers of a request; there may be 100 of them.
    body_memory_bytes : int
        Memory of each API process for request bodies that must be held to know who sent them. A request that finds none left
        is answered 503.
    answer_memory_bytes : int
        Memory of each API process for what large answers (from 1 MiB on) are made of while they are sent. They wait for it by
        turns of their callers, and are answered 503 after half a minute; a frame that is larger than all of it goes alone.
    header_timeout_seconds : float
        How long a client may take to send the headers of a request, and how long a connection stays open without one.
    body_timeout_seconds : float
        Longest pause of a client while it sends a body.
    answer_timeout_seconds : float
        Longest pause of a client while it takes an answer.
    least_bytes_per_second : int
        Slowest mean rate, in bytes a second, at which a client may send a body or take an answer once such a pause has passed.
    metadata_cache_bytes : int
        Memory of each API process for finished metadata documents.
    frame_cache_bytes : int
        Memory of each API process for image frames that were read, as they are stored; 0 for none.
    rendered_cache_bytes : int
        Memory of each API process for rendered frames and thumbnails; 0 for none.
    free_space_floor_bytes : int
        How many bytes of each disk with data folder, packs or spool stay free: below that nothing is stored or imported, while
        reads and deletions go on; 0 to fill it.
    read_cache_bytes : int
        Bytes of the local disk for what API processes have read of packs in object stores, encrypted as there; 0 for none.
    release_after_seconds : float
        How long after its deletion the storage of an image set is released.
    compaction_after_seconds : float
        How long packs below 64 MiB are left alone before a runner merges them; 0 to merge none, nor to erase released records
        from packs that others use.
    compaction_grace_seconds : float
        How long packs stay whose records were brought to others, for those who read them at the time, and for backups.
    compaction_rate : float
        Bytes a second that compaction reads at most; 0 for any number.
    erase_after_seconds : float
        How long released records in a pack that others use wait for more of them, before the pack is written anew without
        them; a quarter of a pack does not wait.
    archive_after_days : float
        Days without access after which an image set moves to ARCHIVE_INSTANT_ACCESS; 0 for never, and what is there comes back.
    archive_blobs_url : str
        A second place for packs that only image sets in ARCHIVE_INSTANT_ACCESS use: a folder, or an object store such as
        ``s3://bucket/prefix`` at the same endpoint; empty to leave them where they are.
    archive_storage_class : str
        Storage class of the objects there, such as ``GLACIER_IR``; empty for the store's own.
    tier_sweep_seconds : float
        How often a runner looks for image sets that change their storage tier, and for packs to move.
    access_flush_seconds : float
        How often an API process writes down which image sets were accessed.
    delete_orphans : bool
        Delete packs older than a day that the database does not know, when two looks a day apart agree, the first of them
        before the runner was started. Leave it off after the database was lost or put back from an older copy: such packs are
        then images that are still to be saved.
    serve_without_packs : bool
        Start although most packs that were looked for are missing, to read what is left.
    verify_days : float
        Days in which a runner verifies everything that is stored, again and again, with the lowest priority; 0 for never.
    throttling : Throttling
        How many requests each account may make: ``aws`` for AWS's rates, ``off`` for any number.
    throttle_rates : str
        Rates for single actions instead, as ``GetImageFrame=5000/10000,CopyImageSet=off``: requests a second and burst.
    quota_datastores : int
        Data stores of the account; 0 for no limit, as for all quotas.
    quota_copies : int
        Copies under way in a data store.
    quota_updates : int
        Updates of metadata under way in a data store.
    quota_deletes : int
        Deletions of image sets under way in a data store.
    quota_copy_frames : int
        Image frames of one copy.
    quota_update_bytes : int
        Bytes of the two blobs of an UpdateImageSetMetadata request together.
    quota_metadata_bytes : int
        Bytes of the metadata document of an image set, before compression.
    quota_tags : int
        Tags of a data store or an image set.
    quota_import_files : int
        Files of an import job; more fail the job. 0 for no quota, as for all quotas.
    quota_import_folders : int
        Folders below the input location of an import job; more fail the job.
    quota_import_bytes : int
        Bytes of all files of an import job; more fail the job.
    quota_import_file_bytes : int
        Bytes of one file; a larger one fails.
    quota_import_jobs : int
        Import jobs under way at the same time per data store; one more is refused.
    job_retention_seconds : float
        How long after its end an import job is shown, and kept in the database.
    audit_data_events : bool
        Record data events, which are reading frames and all of DICOMweb, in the audit trail; management events always are.
    audit_uids : UidRecording
        How UIDs of studies, series and instances stand in the audit trail: ``sealed``, found again by ``hounsfield audit find
        --uid`` only, or ``plain``.
    audit_on_failure : AuditFailureMode
        What becomes of calls while they cannot be recorded: ``refuse`` carries out none, ``refuse-writes`` none that changes
        anything, ``continue`` all.
    audit_file_bytes : int
        Size from which a file of the audit trail is followed by the next.
    audit_file_seconds : float
        Age from which a file of the audit trail is followed by the next.
    audit_retention_days : float
        Days after which files of the audit trail are removed; 0 for never.
    audit_unproven_per_second : float
        Records a second that the calls from one address may leave which nobody was proven to make; the rest are counted in one
        record. Ten times as many come through at once, and four addresses' share from all together.
    audit_s3_uri : str
        Where the audit trail is delivered to as well, such as ``s3://bucket/prefix``, in the folders of CloudTrail; empty for
        nowhere.
    audit_s3_seconds : float
        How often it is delivered.
    tls_certificate : str
        PEM file with the certificate of the server and those between it and its root; empty for plain HTTP. A renewed one is
        served without a restart.
    tls_key : str
        PEM file with its private key, not encrypted.
    tls_client_ca : str
        PEM file with the authorities for certificates of clients; empty to ask clients for none.
    tls_client_certificates : ClientCertificates
        ``required``, or ``optional``: who shows none is let in, who shows one must show a right one.
    tls_least_version : TlsVersion
        Least version of TLS that is spoken, ``1.2`` or ``1.3``.
    authorizers : str
        HTTP endpoints that stand for the functions of ``lambdaAuthorizerArn``, as ``<ARN>=<URL>`` with commas between them.
    lambda_endpoint_url : str
        Endpoint of the Lambda API that calls all other functions of ``lambdaAuthorizerArn``; empty for none, or AWS.
    lambda_api : str
        ``aws`` to call them at AWS Lambda itself.
    lambda_access_key_id : str
        Access key id for the Lambda API; empty for the credentials of the environment (``AWS_ACCESS_KEY_ID`` and so on).
    lambda_secret_access_key : str
        Secret access key for the Lambda API.
    authorizer_calls : int
        Authorizers and issuers that each API process asks at the same time; requests that wait longer than a second for their
        turn are refused with 429.
    authorizer_cache_seconds : float
        How long what a token was found to stand for is used before the authorizer is asked again, at most 60; 0 to ask always.
    oidc_issuer : str
        Issuer whose tokens are taken, as their ``iss`` has it, such as ``https://id.example.org/realms/main``; empty for none.
    oidc_audience : str
        Whom its tokens must be for (``aud``): one of these, with commas between them.
    oidc_jwks_url : str
        Where the issuer's keys are; empty to ask its discovery document.
    oidc_algorithms : str
        Algorithms of signatures that are taken, with commas between them.
    oidc_roles : str
        JSON list of which claim means which role at DICOMweb, such as
        ``[{"claim": "groups", "value": "readers", "role": "arn:aws:iam::000000000000:role/reader"}]``; the first that fits
        counts.
    oidc_leeway_seconds : float
        By how much the clock of who issues tokens may differ, at most 60.
    oidc_keys_seconds : float
        How long the issuer's keys are used before they are fetched anew.
    oidc_keys_most_seconds : float
        How long they are used while the issuer does not answer.
    oidc_refetch_seconds : float
        Least time between two requests for the issuer's keys, also when tokens name unknown ones.
    insecure_no_auth : bool
        Serve without authentication; refused unless the host is loopback. Requests must then name a host of this machine, and
        come from its pages or those that ``cors_origins`` names.
    core_dumps : bool
        Let processes write core dumps, and let debuggers of the same user look into them: both show names of patients and keys.
    log_level : str
        Least level that is logged: debug, info, warning, error.
    console_idle_seconds : int
        How long somebody stays signed in to the console without doing anything.
    console_session_seconds : int
        How long somebody stays signed in to the console at most.
    console_oidc_client_id : str
        Who the console is to the issuer (``client_id``), to let people sign in there; empty for no such sign-in.
    console_oidc_client_secret : str
        Secret of that client; empty for a public client.
    console_oidc_scopes : str
        Scopes that the console asks the issuer for, with blanks between them; ``openid`` is one of them.
    """

    data: Path = Path("data")
    region: str = "us-east-1"
    account_id: str = "000000000000"
    partition: str = "aws"
    database_url: str = ""
    database_wait_seconds: float = 20.0
    database_replica_url: str = ""
    database_replica_seconds: float = 5.0
    database_statement_seconds: float = 300.0
    blobs_url: str = ""
    s3_endpoint_url: str = ""
    s3: str = ""
    s3_access_key_id: str = ""
    s3_secret_access_key: str = ""
    import_roles: str = ""
    kms_endpoint_url: str = ""
    kms: str = ""
    kms_access_key_id: str = ""
    kms_secret_access_key: str = ""
    kms_cache_seconds: float = 300.0
    api_workers: int = 1
    import_workers: int = 0
    store_workers: int = 0
    max_store_bytes: int = 1024 * 1024 * 1024 + 16 * 1024 * 1024
    public_url: str = ""
    cors_origins: str = ""
    trusted_proxies: str = ""
    classic_search_actions: bool = False
    descriptions_ignore_case: bool = False
    dicomweb_delete: bool = False
    executor: str = ""
    executor_ca: str = ""
    executor_certificate: str = ""
    executor_key: str = ""
    executor_plain: bool = False
    import_slots: int = 2
    lease_seconds: float = 15.0
    max_body_bytes: int = 4 * 1024 * 1024
    max_connections: int = 2048
    max_header_bytes: int = 64 * 1024
    body_memory_bytes: int = 256 * 1024 * 1024
    answer_memory_bytes: int = 512 * 1024 * 1024
    header_timeout_seconds: float = 30.0
    body_timeout_seconds: float = 30.0
    answer_timeout_seconds: float = 60.0
    least_bytes_per_second: int = 1024
    metadata_cache_bytes: int = 256 * 1024 * 1024
    frame_cache_bytes: int = 128 * 1024 * 1024
    read_cache_bytes: int = 10 * 1024**3
    rendered_cache_bytes: int = 64 * 1024 * 1024
    free_space_floor_bytes: int = 1024 * 1024 * 1024
    release_after_seconds: float = 24 * 3600.0
    compaction_after_seconds: float = 600.0
    compaction_grace_seconds: float = 3600.0
    compaction_rate: float = 50e6
    erase_after_seconds: float = 24 * 3600.0
    archive_after_days: float = 30.0
    archive_blobs_url: str = ""
    archive_storage_class: str = ""
    tier_sweep_seconds: float = 60.0
    access_flush_seconds: float = 5.0
    delete_orphans: bool = False
    serve_without_packs: bool = False
    verify_days: float = 0.0
    throttling: Throttling = Throttling.OFF
    throttle_rates: str = ""
    quota_datastores: int = 100
    quota_copies: int = 100
    quota_updates: int = 100
    quota_deletes: int = 100
    quota_copy_frames: int = 1_000
    quota_update_bytes: int = 10 * 1024
    quota_metadata_bytes: int = 50 * 1024 * 1024
    quota_tags: int = 50
    quota_import_files: int = 5_000
    quota_import_folders: int = 10_000
    quota_import_bytes: int = 10 * 1024**3
    quota_import_file_bytes: int = 10 * 1024**3
    quota_import_jobs: int = 100
    job_retention_seconds: float = 90 * 24 * 3600.0
    audit_data_events: bool = True
    audit_uids: UidRecording = UidRecording.SEALED
    audit_on_failure: AuditFailureMode = AuditFailureMode.REFUSE_WRITES
    audit_file_bytes: int = 64 * 1024 * 1024
    audit_file_seconds: float = 24 * 3600.0
    audit_retention_days: float = 365.0
    audit_unproven_per_second: float = 5.0
    audit_s3_uri: str = ""
    audit_s3_seconds: float = 300.0
    tls_certificate: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    tls_client_certificates: ClientCertificates = ClientCertificates.REQUIRED
    tls_least_version: TlsVersion = TlsVersion.TLS_1_2
    authorizers: str = ""
    lambda_endpoint_url: str = ""
    lambda_api: str = ""
    lambda_access_key_id: str = ""
    lambda_secret_access_key: str = ""
    authorizer_calls: int = 16
    authorizer_cache_seconds: float = 5.0
    oidc_issuer: str = ""
    oidc_audience: str = ""
    oidc_jwks_url: str = ""
    oidc_algorithms: str = "RS256,PS256,ES256,EdDSA,Ed25519"
    oidc_roles: str = ""
    oidc_leeway_seconds: float = 5.0
    oidc_keys_seconds: float = 300.0
    oidc_keys_most_seconds: float = 3600.0
    oidc_refetch_seconds: float = 10.0
    insecure_no_auth: bool = False
    core_dumps: bool = False
    log_level: str = "info"
    console_idle_seconds: int = 30 * 60
    console_session_seconds: int = 12 * 3600
    console_oidc_client_id: str = ""
    console_oidc_client_secret: str = ""
    console_oidc_scopes: str = "openid"

    def __repr__(self) -> str:
        return f"Settings(data={str(self.data)!r})"

    @property
    def tls(self) -> TlsFiles | None:
        """The files of TLS; None for plain HTTP."""
        if not self.tls_certificate:
            return None
        return TlsFiles(
            certificate=Path(self.tls_certificate),
            key=Path(self.tls_key),
            client_ca=Path(self.tls_client_ca) if self.tls_client_ca else None,
            clients=self.tls_client_certificates,
            least=self.tls_least_version,
        )

    @property
    def cluster(self) -> ExecutorPlace | None:
        """The Dask cluster that works; None where processes of this machine do. Raises ValueError where it cannot be."""
        files = self.executor_ca, self.executor_certificate, self.executor_key
        return check_executor(self.executor, files, plain=self.executor_plain)

    @property
    def job_roles(self) -> ImportRoles:
        """What roles of import jobs are."""
        if self.import_roles:
            return ImportRoles(self.import_roles)
        return ImportRoles.STS if self.s3 == "aws" else ImportRoles.OPEN

    @property
    def archive_after_seconds(self) -> float:
        """Time without access after which an image set is archived."""
        return self.archive_after_days * _DAY_SECONDS

    @property
    def audit_retention_seconds(self) -> float:
        """Time after which a file of the audit trail is removed; 0 for never."""
        return self.audit_retention_days * _DAY_SECONDS

    @property
    def import_processes(self) -> int:
        """Number of transcoding processes."""
        return self.import_workers or os.cpu_count() or 1

    @property
    def store_processes(self) -> int:
        """Number of processes of each API process that transcode what is stored by DICOMweb."""
        return self.store_workers or max(1, (os.cpu_count() or 1) // self.api_workers)
