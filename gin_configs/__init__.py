"""The configurations that come with ltx: tasks, finders and studies."""
