"""What pages of the console are about when all of them are walked over: one of each thing, with hostile names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any, Final
from urllib.parse import quote

from hounsfield.console.pages import PAGES
from hounsfield.iam.identities.identities import create_role
from hounsfield.iam.identities.managed_policies import create_policy
from support.clients.administration import administer
from support.clients.dicomweb import updated
from support.files.hospital import write_hospital
from support.files.synthetic import slice_of
from support.identities.users_and_roles import ACCOUNT, UsersAndRoles, allow, policy, trust
from support.imaging.import_folders import INPUT, fill, import_folder
from support.imaging.imports import document, image_sets, instances
from support.servers import ServerProcess, active_datastore

IMAGE: Final = "<img src=x onerror=alert(1)>"
SCRIPT: Final = '"><script>alert(1)</script>'
TEMPLATE: Final = "{{7*7}}${7*7}<%= 7*7 %>"
OVERRIDE: Final = "\u202egnp.exe\u202c"
FOUR_BYTES: Final = "𝒥𝒶𝓃𝑒 𠮷 🫀"
LONG: Final = "Wolfeschlegelsteinhausenbergerdorff" * 7 + " x"
"""As long as a name may be, nearly."""
HOSTILE: Final = (IMAGE, SCRIPT, TEMPLATE, OVERRIDE, FOUR_BYTES)
FOLDER: Final = f"walk {FOUR_BYTES}"
EXTRA_QUERIES: Final[Mapping[str, tuple[str, ...]]] = {
    "/console/attributes": ("?key=patient",),
    "/console/datastores": ("?status=any",),
    "/console/datastores/{datastore}/imagesets/{imageset}/edit": ("?key=PatientName", "?key=nonsense"),
    "/console/datastores/{datastore}/studies": ("?q=nobody",),
    "/console/datastores/{datastore}/imagesets/delete": ("?image_set={imageset}",),
    "/console/datastores/{datastore}/imagesets": ("?by=DICOMPatientId&value=nobody",),
    "/console/datastores/{datastore}/imports/new": (
        f"?input_uri={quote(f's3://{INPUT}/{FOLDER}/')}",
        "?input_uri=s3://not-there/",
    ),
    "/console/datastores/{datastore}/imports/{job}": ("?kind=SUCCESS&text=walk",),
    "/console/usage/calls": ("?span=month",),
    "/console/audit": ("?span=own&from=2026-01-01T00:00&uid=1.2.3&text=nothing+says+this",),
    "/console/datastores/{datastore}/access": (
        f"?everybody=yes&principal=arn:aws:iam::{ACCOUNT}:user/ann.roe&action=GetImageFrame",
    ),
    "/console/users": ("?name=nobody-has-this-name",),
    "/console/datastores/{datastore}/imagesets/{imageset}/metadata": ("?q=a",),
    "/console/datastores/{datastore}/imagesets/{imageset}/metadata/element": ("?level=Instance&instance={instance}",),
    "/console/datastores/{datastore}/imagesets/{imageset}/versions": ("?who=1",),
}
"""By the path of a page, queries with which it looks another way, with labels; it is walked over without one, too."""


@dataclass(frozen=True)
class World:
    """A server, and what the labels in paths of pages stand for there."""

    server: ServerProcess
    client: Any
    labels: Mapping[str, str]

    def addresses(self, *, with_queries: bool = True) -> Iterator[tuple[str, str]]:
        """Return the path of each page that is looked at, with an address at which there is something."""
        for page in PAGES:
            if "GET" in page.methods and not page.is_file:
                for query in ("", *(EXTRA_QUERIES.get(page.path, ()) if with_queries else ())):
                    yield page.path, self.address(page.path + query)

    def address(self, path: str) -> str:
        """Return the address of a page; a label without a value is an error."""
        unknown = [name for _, name, _, _ in Formatter().parse(path) if name and name not in self.labels]
        assert not unknown, f"this world has nothing for {unknown} of {path}: add it to the labels"
        return path.format_map(self.labels)


def make_world(server: ServerProcess) -> World:
    """Make one of each thing that pages are about."""
    client = server.client()
    datastore_id = active_datastore(
        client, datastoreName="Walked_over." * 21, tags={"purpose": "walk", "owner": "A. Roe"}
    )
    folder = fill(server, FOLDER, _slices())
    for name in (IMAGE, OVERRIDE, TEMPLATE, "x" * 200):
        (folder / name).write_bytes(b"no image")
    outcome = import_folder(server, client, datastore_id, FOLDER)
    image_set_id = outcome.success[0]["importResponse"]["imageSetId"]
    labels = _labels(server, client, datastore_id, image_set_id, outcome.job["jobId"])
    return World(server, client, {**labels, **_make_identities(server, "radiology+readers@north", HOSTILE)})


def _labels(server: ServerProcess, client: Any, datastore_id: str, image_set_id: str, job_id: str) -> Mapping[str, str]:
    first, _ = next(instances(document(client, datastore_id, image_set_id)))
    return {
        "datastore": datastore_id,
        "imageset": image_set_id,
        "study": _study_of(client, datastore_id, image_set_id),
        "instance": first,
        "frame": "0" * 32,
        "job": job_id,
        "event": _event_id(server),
    }


def _event_id(server: ServerProcess) -> str:
    """Return the id of a record of the audit trail that says much: that of the start of an import job."""
    found = administer(server, "LookupEvents", EventName="StartDICOMImportJob", MaxResults=1)
    return str(found["Events"][0]["EventId"])


def _slices() -> Iterator[Any]:
    """Make an instance for each hostile text, which is in its patient, study and series."""
    for number, text in enumerate((*HOSTILE, LONG), start=1):
        yield slice_of(
            study=number,
            SpecificCharacterSet="ISO_IR 192",
            PatientName=text.replace("^", ""),
            PatientID=text[:60],
            AccessionNumber=text[:16],
            StudyDescription=text[:64],
            SeriesDescription=text[:64],
            StudyID=text[:16],
            BodyPartExamined="HEAD",
        )


def make_hospital(server: ServerProcess) -> World:
    """Make a data store as hospitals have them, with what has happened there: for pictures."""
    client = server.client()
    datastore_id = active_datastore(
        client, datastoreName="radiology", tags={"department": "Radiology", "site": "North"}
    )
    active_datastore(client, datastoreName="research-anonymised", losslessStorageFormat="HTJ2K")
    active_datastore(client, datastoreName="teaching")
    folder = server.bucket(INPUT) / "ct-scanner-2"
    write_hospital(folder)
    (folder / "DICOMDIR.txt").write_text("An index of the files beside it.\n")
    (folder / "cut-off.dcm").write_bytes(next(folder.rglob("*.dcm")).read_bytes()[:3000])
    outcome = import_folder(server, client, datastore_id, "ct-scanner-2")
    image_set_id = _image_set_of(client, datastore_id, patient_id="00412077", description="Thorax 5.0 venous")
    series = {"DICOM": {"ProtocolName": "Thorax venous, low dose"}}
    uid = next(iter(document(client, datastore_id, image_set_id)["Study"]["Series"]))
    updated(client, datastore_id, image_set_id, {"SchemaVersion": "1.1", "Study": {"Series": {uid: series}}})
    labels = _labels(server, client, datastore_id, image_set_id, outcome.job["jobId"])
    return World(server, client, {**labels, **_make_identities(server, "radiology-readers", ("Reads CT of ward 3",))})


def _make_identities(server: ServerProcess, name: str, texts: Sequence[str]) -> Mapping[str, str]:
    """Make a policy of a name, and a user and a role who have it; the texts are where IAM takes any."""
    document = policy({"Sid": "Read", **allow("medical-imaging:Get*")})
    trusted = policy(trust({"Service": "medical-imaging.amazonaws.com"}))
    description = " ".join(texts)
    # As commands make them, which take any description.
    users = UsersAndRoles(server)
    arn = create_policy(users.repository, name, document, description).arn
    create_role(users.repository, "walked-importer", trusted, description=description)
    users.close()
    administer(server, "CreateUser", UserName="ann.roe", Tags=[{"Key": "ward", "Value": "3"}], PermissionsBoundary=arn)
    for noun, who in (("User", "ann.roe"), ("Role", "walked-importer")):
        member = {f"{noun}Name": who}
        administer(server, f"Attach{noun}Policy", **member, PolicyArn=arn)
        administer(server, f"Put{noun}Policy", **member, PolicyName="own", PolicyDocument=document)
    key = administer(server, "CreateAccessKey", UserName="ann.roe")["AccessKey"]["AccessKeyId"]
    return {"user": "ann.roe", "role": "walked-importer", "owner": "own", "policy": name, "inline": "own", "key": key}


def _study_of(client: Any, datastore_id: str, image_set_id: str) -> str:
    """Return the Study Instance UID of an image set."""
    return str(document(client, datastore_id, image_set_id)["Study"]["DICOM"]["StudyInstanceUID"])


def _image_set_of(client: Any, datastore_id: str, patient_id: str, description: str) -> str:
    """Return the image set of a series of a patient."""
    for entry in image_sets(client, datastore_id):
        if entry["DICOMTags"].get("DICOMPatientId") == patient_id:
            series = document(client, datastore_id, entry["imageSetId"])["Study"]["Series"].values()
            if any(one["DICOM"].get("SeriesDescription") == description for one in series):
                return str(entry["imageSetId"])
    raise AssertionError(f"no series {description} of {patient_id}")
