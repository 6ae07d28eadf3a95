"""The gateway: test-time scaling behind the API that OpenAI's clients speak."""
