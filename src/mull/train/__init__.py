"""Training verifiers and thinkers: labels, reward models, fine-tuning."""
