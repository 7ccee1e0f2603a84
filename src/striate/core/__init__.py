"""What every room needs and nothing else: settings, registry, image spec, device, randomness, errors."""
