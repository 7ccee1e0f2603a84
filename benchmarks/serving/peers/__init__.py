"""The same network behind other servers, each written as its documentation shows."""
