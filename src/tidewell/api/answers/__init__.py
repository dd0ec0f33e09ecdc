"""What the API answers, shape by shape: the models that the OpenAPI document is made from."""
