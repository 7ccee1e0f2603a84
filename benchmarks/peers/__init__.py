"""The same networks in other libraries, each as its users write it."""
