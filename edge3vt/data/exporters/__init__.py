"""One file a format, each the counterpart of its importer. An export holds pictures, masks and classes: no patient,
no source, no facts."""
