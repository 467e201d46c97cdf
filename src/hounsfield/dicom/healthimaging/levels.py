"""Levels of elements: which are kept once per patient, study or series; all others are kept per instance.

HealthImaging normalises metadata by these lists of its developer guide: 46 patient, 50 study and 44 series elements.
The lists are AWS's, not the standard's: elements that PS3.3 puts into the same modules but the guide does not name stay
with the instance. Private elements always do.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from hounsfield.dicom.values.dictionary import TAGS


class Level(Enum):
    """Level of the information model an element is kept at (PS3.3 section A.1.2)."""

    PATIENT = "Patient"
    STUDY = "Study"
    SERIES = "Series"
    INSTANCE = "Instance"


PATIENT_KEYWORDS: Final = (
    # Patient module
    "PatientName",
    "PatientID",
    # Issuer of Patient ID macro and other patient attributes
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "TypeOfPatientID",
    "PatientBirthDate",
    "PatientBirthDateInAlternativeCalendar",
    "PatientDeathDateInAlternativeCalendar",
    "PatientAlternativeCalendar",
    "PatientSex",
    "ReferencedPatientPhotoSequence",
    "QualityControlSubject",
    "ReferencedPatientSequence",
    "PatientBirthTime",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "EthnicGroup",
    "PatientComments",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "PatientBreedDescription",
    "PatientBreedCodeSequence",
    "BreedRegistrationSequence",
    "StrainDescription",
    "StrainNomenclature",
    "StrainCodeSequence",
    "StrainAdditionalInformation",
    "StrainStockSequence",
    "GeneticModificationsSequence",
    "ResponsiblePerson",
    "ResponsiblePersonRole",
    "ResponsibleOrganization",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    # Patient group macro
    "SourcePatientGroupIdentificationSequence",
    "GroupOfPatientsIdentificationSequence",
    # Clinical Trial Subject
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialProtocolEthicsCommitteeName",
    "ClinicalTrialProtocolEthicsCommitteeApprovalNumber",
)
"""The 46 elements of the patient level, by module."""

STUDY_KEYWORDS: Final = (
    # General Study
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "ReferringPhysicianIdentificationSequence",
    "ConsultingPhysicianName",
    "ConsultingPhysicianIdentificationSequence",
    "StudyID",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "StudyDescription",
    "PhysiciansOfRecord",
    "PhysiciansOfRecordIdentificationSequence",
    "NameOfPhysiciansReadingStudy",
    "PhysiciansReadingStudyIdentificationSequence",
    "RequestingService",
    "RequestingServiceCodeSequence",
    "ReferencedStudySequence",
    "ProcedureCodeSequence",
    "ReasonForPerformedProcedureCodeSequence",
    # Patient Study
    "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientBodyMassIndex",
    "MeasuredAPDimension",
    "MeasuredLateralDimension",
    "PatientSizeCodeSequence",
    "MedicalAlerts",
    "Allergies",
    "SmokingStatus",
    "PregnancyStatus",
    "LastMenstrualDate",
    "PatientState",
    "Occupation",
    "AdditionalPatientHistory",
    "AdmissionID",
    "IssuerOfAdmissionIDSequence",
    "ReasonForVisit",
    "ReasonForVisitCodeSequence",
    "ServiceEpisodeID",
    "IssuerOfServiceEpisodeIDSequence",
    "ServiceEpisodeDescription",
    "PatientSexNeutered",
    # Clinical Trial Study
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    "LongitudinalTemporalOffsetFromEvent",
    "LongitudinalTemporalEventType",
    "ConsentForClinicalTrialUseSequence",
)
"""The 50 elements of the study level, by module."""

SERIES_KEYWORDS: Final = (
    # General Series
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Laterality",
    "SeriesDate",
    "SeriesTime",
    "PerformingPhysicianName",
    "PerformingPhysicianIdentificationSequence",
    "ProtocolName",
    "SeriesDescription",
    "SeriesDescriptionCodeSequence",
    "OperatorsName",
    "OperatorIdentificationSequence",
    "ReferencedPerformedProcedureStepSequence",
    "RelatedSeriesSequence",
    "BodyPartExamined",
    "PatientPosition",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
    "RequestAttributesSequence",
    "AnatomicalOrientationType",
    "TreatmentSessionUID",
    # Clinical Trial Series
    "ClinicalTrialCoordinatingCenterName",
    "ClinicalTrialSeriesID",
    "ClinicalTrialSeriesDescription",
    # General Equipment
    "Manufacturer",
    "InstitutionName",
    "InstitutionAddress",
    "StationName",
    "InstitutionalDepartmentName",
    "InstitutionalDepartmentTypeCodeSequence",
    "ManufacturerModelName",
    "ManufacturerDeviceClassUID",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "GantryID",
    "UDISequence",
    "DeviceUID",
    "SpatialResolution",
    "DateOfLastCalibration",
    "TimeOfLastCalibration",
    "PixelPaddingValue",
    # Frame of Reference
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
)
"""The 44 elements of the series level, by module."""

LEVELS: Final[dict[int, Level]] = {
    TAGS[keyword]: level
    for level, keywords in (
        (Level.PATIENT, PATIENT_KEYWORDS),
        (Level.STUDY, STUDY_KEYWORDS),
        (Level.SERIES, SERIES_KEYWORDS),
    )
    for keyword in keywords
}
"""Level by tag, for every element that is not kept per instance."""


KEYWORDS: Final[dict[Level, frozenset[str]]] = {
    Level.PATIENT: frozenset(PATIENT_KEYWORDS),
    Level.STUDY: frozenset(STUDY_KEYWORDS),
    Level.SERIES: frozenset(SERIES_KEYWORDS),
}
"""Keywords of the elements that are not kept per instance, by level."""


def level_of(tag: int) -> Level:
    """Return at which level an element is kept.

    Parameters
    ----------
    tag : int
        The element.

    Returns
    -------
    Level
        `Level.INSTANCE` for every element that is in none of the lists.
    """
    return LEVELS.get(tag, Level.INSTANCE)
