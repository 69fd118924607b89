"""echo-scp: receive echocardiography by C-STORE, measure the left ventricle, return DICOM SR and SEG."""

__version__ = "0.1.0"
