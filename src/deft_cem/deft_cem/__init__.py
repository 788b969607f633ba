"""Fine-tuning by the cross-entropy method: sampling, refit, session journal, action server."""

__version__ = "0.1.0"
