"""A document's network in Keras 3 on PyTorch: python -m benchmarks.peers.in_keras NETWORK FOLDER."""

from __future__ import annotations

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from keras import layers
from numpy.typing import NDArray
from torch.utils.data import TensorDataset

from benchmarks.documents.clock import Clock
from benchmarks.peers.task import read_task, report

NETWORKS = {
    "mnist-cnn": (
        layers.Conv2D(32, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(1024, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(10),
    ),
    "fashion-cnn": (
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(128, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10),
    ),
    "cifar10-cnn": (
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Dropout(0.3),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(10),
    ),
}
OPTIMIZERS: dict[object, Any] = {torch.optim.Adam: keras.optimizers.Adam, torch.optim.SGD: keras.optimizers.SGD}


def arrays(pictures: TensorDataset) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return pictures, N H W C, and labels, N, as NumPy's arrays."""
    images, labels = pictures.tensors
    return images.permute(0, 2, 3, 1).contiguous().numpy(), labels.numpy()


def main() -> None:
    task = read_task(__doc__)
    (train_images, train_labels), (test_images, test_labels) = arrays(task.train), arrays(task.test)
    model = keras.Sequential([keras.Input(train_images.shape[1:]), *NETWORKS[task.name]])
    rates = dict(task.program.rates)
    rule = OPTIMIZERS[task.program.rule](learning_rate=rates.pop("lr"), **rates)
    model.compile(
        optimizer=rule,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    clock, accuracies, batch = Clock(), list[float](), task.program.batch_size

    def measure(epoch: int, logs: object) -> None:
        clock.stop()
        decided = model.predict(test_images, batch_size=batch, verbose=0).argmax(1)
        accuracies.append(float((decided == test_labels).mean()))

    course = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: clock.start(), on_epoch_end=measure)
    model.fit(train_images, train_labels, batch_size=batch, epochs=task.epochs, verbose=0, callbacks=[course])
    report(task, model.count_params(), clock, accuracies)


if __name__ == "__main__":
    main()
