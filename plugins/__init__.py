"""The finders that come with ltx, registered through entry points as any plugin's are."""

if __name__ != "ltx_plugins":
    raise ImportError(
        f"import ltx_plugins, not {__name__}: the folder is installed under that name"
    )
