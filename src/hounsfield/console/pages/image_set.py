"""An image set: what it is (API operation GetImageSet), and its files and frames as downloads."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError
from hounsfield.console.downloads import open_download
from hounsfield.console.imagesets.image_set import open_image_set, render_image_set
from hounsfield.console.imagesets.metadata import Summary, ask_document, series_of, summarise
from hounsfield.console.navigation import may_on_image_set
from hounsfield.console.page import Page
from hounsfield.console.visit import Visit

IMAGE_SET: Final = "/console/datastores/{datastore}/imagesets/{imageset}"
_ZIP: Final = "application/zip"
_AS_STORED: Final = f"{_ZIP}; transfer-syntax=*"
_ENDINGS: Final = {
    "image/jph": ".jph",
    "image/jphc": ".jhc",
    "image/j2c": ".j2c",
    "image/jpeg": ".jpg",
    "image/jxl": ".jxl",
    "video/mp4": ".mp4",
    "video/mpeg": ".mpg",
}


async def show_overview(visit: Visit) -> Response:
    """Show what an image set is, and whom and what it is of as far as who asks may see it."""
    image_set = await open_image_set(visit)
    summary: Summary | None = None
    refused: ApiError | None = None
    if may_on_image_set(visit, "GetImageSetMetadata", image_set.arn) and not image_set.shown.is_deleted:
        try:
            summary = await ask_document(visit, image_set, summarise)
        except ApiError as error:
            refused = error

    def may_read(operation: str) -> bool:
        action, arn = f"medical-imaging:{operation}", image_set.datastore.arn
        return summary is not None and visit.may(action, arn, context=summary.series.context)

    return render_image_set(
        visit,
        "image_set/overview.html",
        image_set,
        "",
        summary=summary,
        refused=refused,
        may_read_files=may_read("GetDICOMInstance"),
        # Those of older versions cannot be had.
        may_see_pictures=(
            summary is not None
            and summary.frame_count > 0
            and image_set.is_latest
            and may_read("GetDICOMInstanceFrames")
        ),
        origin=f"{visit.request.url.scheme}://{visit.request.url.netloc}",
    )


async def download_files(visit: Visit) -> Response:
    """Send the DICOM files of an image set in an archive, at its latest version."""
    image_set = await open_image_set(visit)
    series = await ask_document(visit, image_set, series_of, image_set.latest.version)
    return await open_download(
        visit,
        "GET",
        series.path(image_set.datastore.id),
        f"{image_set.id}.zip",
        query={"imageSetId": image_set.id},
        headers={"Accept": _AS_STORED if visit.query.get("syntax") == "stored" else _ZIP},
    )


async def download_frame(visit: Visit) -> Response:
    """Send a frame as it is stored (API operation GetImageFrame)."""
    image_set = await open_image_set(visit)
    frame_id = visit.labels["frame"]
    return await open_download(
        visit,
        "POST",
        f"{image_set.api_path}/getImageFrame",
        frame_id,
        json={"imageFrameId": frame_id},
        endings=_ENDINGS,
    )


PAGES: Final = (
    Page(IMAGE_SET, show_overview),
    Page(f"{IMAGE_SET}/files.zip", download_files, is_file=True),
    Page(f"{IMAGE_SET}/frames/{{frame}}", download_frame, is_file=True),
)
