"""Lists of a restricted data store: 100,000 studies, of which users see some by tags, with the setting and without it in turns.

    qido_corpus, tags ─▶ tables ─▶ server ─▶ the same searches of the same user: not restricted, restricted, not restricted, …
                                          ─▶ p99 with the setting : p99 without, against the limit

Some see one study of a hundred, some every second, some only the oldest tenth, which stands at the end of every list.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from sqlalchemy import insert, text

from bench.databases import on_each_database
from bench.processes import processor_seconds
from bench.qido_corpus import SERIES, Study, all_studies, fill, image_set_id
from bench.report import Report, median, percentile
from bench.scale import Run
from bench.server import BenchmarkError, Server
from bench.signing import connect, get, post, signed_get, signed_post
from hounsfield.bootstrap.installation import open_keyring, open_repository
from hounsfield.iam.identities.access_keys import create_key
from hounsfield.iam.identities.attachments import put_inline_policy
from hounsfield.iam.identities.identities import create_user
from hounsfield.iam.identities.records import IdentityKind
from hounsfield.iam.identities.repository import Repository
from hounsfield.iam.identities.restricted_datastores import restrict_datastore, unrestrict_datastore
from hounsfield.iam.root_credentials import AccessKey
from hounsfield.imaging.image_store import ImageStore
from hounsfield.storage.db.image_set_tables import tags
from hounsfield.storage.db.tag_table import image_set_tags

LIMIT: Final = 2.0
_WARDS: Final = 100
_TURNS: Final = 5
_AT_ONCE: Final = 4_000
_PAGE: Final = 50
_KNOWN_SECONDS: Final = 30.0
_USERS: Final[Mapping[str, tuple[str, str]]] = {
    "one of a hundred": ("ward", "7"),
    "every second": ("half", "1"),
    "the oldest tenth": ("age", "old"),
}
"""What a user sees, by the tag that lets them."""


@dataclass(frozen=True)
class _Kind:
    """A kind of search, made so that it finds a study: path and query of a GET, or filters and order of SearchImageSets."""

    name: str
    make: Callable[[Study], tuple[str, Mapping[str, object] | None]]


def run(setting: Run, report: Report) -> None:
    """Measure the embedded database, and PostgreSQL where the environment names an empty database."""
    on_each_database(setting, report, "restricted-speed", _measure)


def _measure(setting: Run, report: Report, server: Server, label: str) -> None:
    with server:
        datastore_id = server.datastore()
    count = setting.scale.indexed_studies
    image_store = server.image_store()
    fill(image_store, datastore_id, count)
    _tag(image_store, datastore_id, count)
    repository = open_repository(server.settings, image_store.database, open_keyring(server.settings))
    turns = 1 if setting.scale.quick else _TURNS
    searches = setting.scale.study_searches
    report.note(f"{label}: {count} studies of {SERIES} series, {searches} searches of a kind and user in each setting")
    try:
        with server:
            searcher = _Searcher(server, repository, datastore_id, _hidden_study(count))
            for name, (key, value) in _USERS.items():
                seen = [study for study in all_studies(count) if _tags_of(study, count)[key] == value]
                chosen = random.Random(7).choices(seen, k=searches)
                user = _user(repository, datastore_id, key, value)
                _compare(report, f"{label}: {name}", searcher, user, chosen, turns)
            searcher.close()
    finally:
        image_store.database.close()


def _compare(
    report: Report, name: str, searcher: _Searcher, key: AccessKey, studies: Sequence[Study], turns: int
) -> None:
    """Measure all kinds of searches of one user, with the setting and without it in turns."""
    kinds = _kinds()
    times: dict[tuple[str, bool], list[float]] = {(kind.name, on): [] for kind in kinds for on in (False, True)}
    used = dict.fromkeys(times, 0.0)
    for turn in range(turns):
        for on in (False, True):
            searcher.restrict(key, on=on)
            for kind in kinds:
                if turn == 0:
                    # What a process does once for each kind of search is not measured.
                    searcher.search(kind, key, studies[0])
                before = searcher.processor_seconds
                times[kind.name, on] += [searcher.search(kind, key, study) * 1000 for study in studies[turn::turns]]
                used[kind.name, on] += searcher.processor_seconds - before
    for kind in kinds:
        without, restricted = times[kind.name, False], times[kind.name, True]
        report.figure(f"{name}, {kind.name}: without, p50", median(without), "ms")
        report.figure(f"{name}, {kind.name}: without, p99", percentile(without, 99), "ms")
        report.figure(f"{name}, {kind.name}: restricted, p50", median(restricted), "ms")
        report.figure(f"{name}, {kind.name}: restricted, p99", percentile(restricted, 99), "ms")
        for on, setting in ((False, "without"), (True, "restricted")):
            report.figure(
                f"{name}, {kind.name}: {setting}, processor time", used[kind.name, on] * 1000 / len(studies), "ms"
            )
        ratio = percentile(restricted, 99) / percentile(without, 99)
        report.figure(f"{name}, {kind.name}: ratio of p99", ratio, "", LIMIT)


class _Searcher:
    """Sends searches over one connection."""

    def __init__(self, server: Server, repository: Repository, datastore_id: str, hidden: Study) -> None:
        self._server = server
        self._hidden = hidden
        self._repository = repository
        self._datastore_id = datastore_id
        self._connection = connect(server.url)

    def restrict(self, key: AccessKey, *, on: bool) -> None:
        """Change the setting, and wait until the server goes by it."""
        (restrict_datastore if on else unrestrict_datastore)(self._repository, self._datastore_id)
        # The server closes a connection on which nothing happened for long.
        self._connection.close()
        self._connection = connect(self._server.url)
        deadline = time.monotonic() + _KNOWN_SECONDS
        hidden = f"/datastore/{self._datastore_id}/studies?StudyInstanceUID={self._hidden.uid}"
        while True:
            try:
                _, body = get(self._connection, signed_get(self._server, hidden, key=key))
                known = (orjson.loads(body or b"[]") == []) is on
            except BenchmarkError:
                # The key is new, or nothing was found.
                known = False
            if known:
                return
            if time.monotonic() > deadline:
                raise BenchmarkError("the server does not go by the setting")
            time.sleep(0.1)

    @property
    def processor_seconds(self) -> float:
        """Processor time that the server has taken."""
        return processor_seconds(self._server.pid)

    def search(self, kind: _Kind, key: AccessKey, study: Study) -> float:
        """Search for what is there and seen, and give the seconds."""
        path, criteria = kind.make(study)
        path = f"/datastore/{self._datastore_id}/{path}"
        if criteria is None:
            seconds, body = get(self._connection, signed_get(self._server, path, key=key))
            found = len(orjson.loads(body))
        else:
            seconds, body = post(self._connection, signed_post(self._server, path, criteria, key=key))
            found = len(orjson.loads(body)["imageSetsMetadataSummaries"])
        if not found:
            raise BenchmarkError(f"{kind.name}: a search for what is there found nothing")
        return seconds

    def close(self) -> None:
        self._connection.close()


def _kinds() -> list[_Kind]:
    kinds = [
        _Kind(f"SearchImageSets by {order['sortField']} {order['sortOrder']}", _native(order))
        for field in ("updatedAt", "createdAt", "DICOMStudyDateAndTime")
        for order in ({"sortField": field, "sortOrder": "DESC"},)
    ]
    kinds.append(
        _Kind("SearchImageSets of a patient", _native({"sortField": "updatedAt", "sortOrder": "DESC"}, "patient"))
    )
    kinds += [_Kind(f"studies, {name}", _web("studies", make)) for name, make in _STUDY_KEYS]
    kinds += [
        _Kind("series of a study", _web("studies/{study}/series", lambda _: {})),
        _Kind("instances of a study", _web("studies/{study}/instances", lambda _: {})),
    ]
    return kinds


_STUDY_KEYS: Sequence[tuple[str, Callable[[Study], Mapping[str, Any]]]] = (
    ("no key", lambda _: {}),
    ("PatientID", lambda study: {"PatientID": study.patient["PatientID"]}),
    ("PatientName of one letter and *", lambda study: {"PatientName": f"{study.surname[:1]}*"}),
    ("StudyDate, a day", lambda study: {"StudyDate": study.values["StudyDate"]}),
    (
        "StudyDate, a year",
        lambda study: {"StudyDate": f"{study.values['StudyDate'][:4]}0101-{study.values['StudyDate'][:4]}1231"},
    ),
    ("ModalitiesInStudy", lambda study: {"ModalitiesInStudy": study.modalities[0]}),
)


def _native(order: Mapping[str, str], only: str = "") -> Callable[[Study], tuple[str, Mapping[str, object] | None]]:
    def make(study: Study) -> tuple[str, Mapping[str, object] | None]:
        value = {"values": [{"DICOMPatientId": study.patient["PatientID"]}], "operator": "EQUAL"}
        criteria: dict[str, object] = {"sort": order, **({"filters": [value]} if only else {})}
        return f"searchImageSets?maxResults={_PAGE}", criteria

    return make


def _web(
    path: str, make: Callable[[Study], Mapping[str, Any]]
) -> Callable[[Study], tuple[str, Mapping[str, object] | None]]:
    def query(study: Study) -> tuple[str, Mapping[str, object] | None]:
        return f"{path.format(study=study.uid)}?{urlencode({**make(study), 'limit': _PAGE})}", None

    return query


def _tags_of(study: Study, count: int) -> dict[str, str]:
    """Return the tags of the image sets of a study; those with the lowest numbers were stored first."""
    return {
        "ward": str(study.number * 7919 % _WARDS),
        "half": str(study.number * 31 % 2),
        "age": "old" if study.number < count // 10 else "new",
    }


def _hidden_study(count: int) -> Study:
    """Return a study that none of the users sees."""
    users = _USERS.values()
    return next(
        study for study in all_studies(count) if all(_tags_of(study, count)[key] != value for key, value in users)
    )


def _tag(image_store: ImageStore, datastore_id: str, count: int) -> None:
    """Tag all image sets, written straight into the tables, and their indexes made at the end."""
    prefix = image_store.image_set_arn(datastore_id, "")
    indexes = sorted(image_set_tags.indexes, key=lambda index: str(index.name))
    made = all_studies(count)
    with image_store.database.write() as connection:
        for index in indexes:
            index.drop(connection)
        while some := list(islice(made, _AT_ONCE)):
            rows = list(_rows(datastore_id, some, count))
            connection.execute(insert(image_set_tags), rows)
            given = [
                {"resource_arn": prefix + row["image_set_id"], **{name: row[name] for name in ("tag_key", "tag_value")}}
                for row in rows
            ]
            connection.execute(insert(tags), given)
        for index in indexes:
            index.create(connection)
    if image_store.database.engine.dialect.name == "postgresql":
        with image_store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _rows(datastore_id: str, studies: Sequence[Study], count: int) -> Iterator[dict[str, Any]]:
    for study in studies:
        for ordinal in range(SERIES):
            for key, value in _tags_of(study, count).items():
                yield {
                    "image_set_id": image_set_id(study, ordinal),
                    "tag_key": key,
                    "tag_value": value,
                    "datastore_id": datastore_id,
                    "study_uid": study.uid,
                    "is_primary": True,
                    "updated_at": study.updated_at,
                    "created_at": study.updated_at,
                    "study_date": study.values["StudyDate"],
                    "study_time": study.values["StudyTime"],
                    "study_updated_at": study.updated_at,
                }


def _user(repository: Repository, datastore_id: str, key: str, value: str) -> AccessKey:
    """Make a user who may everything on the data store, and on the image sets with a tag."""
    arn = f"arn:aws:medical-imaging:us-east-1:{repository.account_id}:datastore/{datastore_id}"
    own = {"StringEquals": {f"aws:ResourceTag/{key}": value}}
    statements = [
        {"Effect": "Allow", "Action": "medical-imaging:*", "Resource": arn},
        {"Effect": "Allow", "Action": "medical-imaging:*", "Resource": f"{arn}/imageset/*", "Condition": own},
    ]
    name = f"sees-{key}"
    create_user(repository, name)
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    put_inline_policy(repository, IdentityKind.USER, name, "own", document)
    made = create_key(repository, name)
    return AccessKey(made.record.id, made.secret)
