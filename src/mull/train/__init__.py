"""Training of verifiers and reasoning models: step labels, reward models, fine-tuning."""
