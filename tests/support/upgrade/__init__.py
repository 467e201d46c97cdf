"""Data folders made by earlier versions, opened by this one."""
