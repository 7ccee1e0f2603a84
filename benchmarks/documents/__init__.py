"""The documents' own programs in plain PyTorch and torchvision, as the documents mean them: nothing of Striate."""
