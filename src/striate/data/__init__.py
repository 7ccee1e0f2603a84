"""From names and folders to uint8 tensors: sources, safe decoding, augmentation, batches."""
