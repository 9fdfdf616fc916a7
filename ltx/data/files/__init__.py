"""Data sets from files: tables, folders of images, and Hugging Face's folders."""
