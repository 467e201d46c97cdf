"""One image set: its versions, workflow, metadata document, update, copy and deletion."""
