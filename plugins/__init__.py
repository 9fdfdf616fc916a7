"""The finders that come with ltx; they reach it through the entry points, as anybody's do."""

if __name__ != "ltx_plugins":
    raise ImportError(
        f"import ltx_plugins, not {__name__}: the folder is installed under that name"
    )
